#include <contrail/source.hpp>

#include <algorithm>
#include <cstring>
#include <string>

namespace contrail {
namespace {

class memory_source final : public source {
 public:
  explicit memory_source(std::string bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t bytes() const noexcept override { return bytes_.size(); }
  asio::awaitable<std::size_t> read(std::uint64_t offset, asio::mutable_buffer into) override {
    if (offset >= bytes_.size()) co_return std::size_t{0};
    const auto at = static_cast<std::size_t>(offset);
    const std::size_t n = std::min(into.size(), bytes_.size() - at);
    std::memcpy(into.data(), bytes_.data() + at, n);
    co_return n;
  }
  asio::awaitable<std::uint64_t> finish(asio::mutable_buffer) override { co_return std::uint64_t{bytes_.size()}; }

 private:
  std::string bytes_;
};

}  // namespace

std::unique_ptr<source> make_memory_source(std::string bytes) { return std::make_unique<memory_source>(std::move(bytes)); }

}  // namespace contrail
