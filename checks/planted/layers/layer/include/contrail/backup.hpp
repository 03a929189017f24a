#pragma once

#include <contrail/engine.hpp>
