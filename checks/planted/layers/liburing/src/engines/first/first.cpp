#include <linux/io_uring.h>  // expect: liburing
