#include <fcntl.h>  // expect: os-header
#include <sys/stat.h>  // expect: os-header
#include <cstdint>
#include <system_error>
