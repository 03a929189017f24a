#pragma once

#include <contrail/engine.hpp>
#include <contrail/sinks/place.hpp>  // expect: layer
