#pragma once

#include "format/digest.hpp"  // expect: private-header
