#pragma once

#include <contrail/backup.hpp>  // expect: layer
#include <contrail/error.hpp>
#include <contrail/io/file_system.hpp>
