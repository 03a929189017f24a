#include <contrail/engines/first.hpp>

#include "engines/first/own.hpp"
#include "engines/second/other.hpp"  // expect: layer
#include "session/core.hpp"  // expect: layer
