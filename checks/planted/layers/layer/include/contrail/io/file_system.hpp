#pragma once

#include <contrail/error.hpp>  // expect: layer
