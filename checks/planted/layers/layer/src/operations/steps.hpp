#pragma once

#include <contrail/sinks/place.hpp>  // expect: layer
