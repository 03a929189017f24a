#pragma once

#include "../session/core.hpp"  // expect: layer
