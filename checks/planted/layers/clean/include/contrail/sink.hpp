#pragma once

#include <asio/awaitable.hpp>

#include <filesystem>
