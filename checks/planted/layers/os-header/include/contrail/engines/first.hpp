#pragma once

#include <unistd.h>  // expect: os-header
