#include "format/digest.hpp"

#include "common/queue.hpp"  // expect: private-header
