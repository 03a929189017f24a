#pragma once

#include "transfer/lane.hpp"
#include "operations/steps.hpp"  // expect: layer
