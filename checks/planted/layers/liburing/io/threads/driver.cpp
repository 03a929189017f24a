#include <liburing.h>  // expect: liburing
