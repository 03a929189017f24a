#include "place.hpp"

#include <contrail/sink.hpp>

#include <unistd.h>  // lint: allow(os-header): shows that a reason lifts a rule
