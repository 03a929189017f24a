#pragma once

#include <contrail/engine.hpp>
#include <contrail/io/file_system.hpp>
#include <contrail/manifest.hpp>
#include <contrail/page_source.hpp>
#include <contrail/restorer.hpp>
#include <contrail/source.hpp>

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// An engine whose databases follow from a number: every system makes the same bytes, and names that are hard to exchange.
namespace exchange {

constexpr std::uint32_t page_bytes = 4096;

struct file {
  file(std::string n, std::string c, contrail::file_role r = contrail::file_role::database) : name(std::move(n)), content(std::move(c)), role(r) {}
  std::string name;
  std::string content;
  contrail::file_role role;
  bool pages = false;   ///< read page by page from a real file
};

inline std::string noise(std::uint64_t seed, std::size_t bytes) {
  std::mt19937_64 random(seed);
  std::string out;
  out.reserve(bytes + 8);
  while (out.size() < bytes) {
    std::uint64_t word = random();
    for (int i = 0; i < 8; ++i, word >>= 8) out.push_back(static_cast<char>(static_cast<unsigned char>(word & 0xFF)));
  }
  out.resize(bytes);
  return out;
}

/// FNV-1a over the page behind its checksum, and the page's number.
inline std::uint64_t page_sum(const char* page, std::uint64_t number) {
  std::uint64_t sum = 0xCBF29CE484222325U ^ number;
  for (std::size_t i = sizeof sum; i < page_bytes; ++i) sum = (sum ^ static_cast<unsigned char>(page[i])) * 0x100000001B3U;
  return sum;
}

inline std::string page_file(std::uint64_t seed, std::uint64_t count) {
  std::string out = noise(seed, count * page_bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    char* const page = out.data() + i * page_bytes;
    std::uint64_t sum = page_sum(page, i);
    for (std::size_t b = 0; b < sizeof sum; ++b, sum >>= 8) page[b] = static_cast<char>(static_cast<unsigned char>(sum & 0xFF));
  }
  return out;
}

inline std::vector<file> files_of(std::uint64_t seed) {
  using contrail::file_role;
  std::vector<file> out;
  out.emplace_back("Zürich-Ж-数据.db", noise(seed + 1, 1234567 + seed % 1000));
  out.emplace_back("empty", std::string());
  out.emplace_back("one", noise(seed + 2, 1));
  out.emplace_back("nested/tief/Ärger und 😀.db", noise(seed + 3, 65537));
  out.emplace_back("nested/Καλημέρα/a/b/c/d.db", noise(seed + 4, 1 << 20));
  out.emplace_back("nested/empty too", std::string());
  out.emplace_back("manifest.json", noise(seed + 5, 300));   // a name that the repository has a use for itself
  out.emplace_back("files.jsonl.copy", noise(seed + 6, 4095));
  out.emplace_back("with ; = ' & %PATH% $HOME #.db", noise(seed + 7, 511));
  out.emplace_back(std::string(200, 'n') + "/" + std::string(200, 'm'), noise(seed + 8, 513));   // longer than 260 characters
  out.emplace_back(".hidden", noise(seed + 9, 7));
  out.emplace_back("e\xCC\x81-\xC3\xA9.db", noise(seed + 10, 33));   // letter and accent, and one character for both
  out.emplace_back("pages.db", page_file(seed + 11, 77 + seed % 5));
  out.back().pages = true;
  out.emplace_back("logs/0001.log", noise(seed + 12, 333), file_role::log);
  return out;
}

class list final : public contrail::file_list {
 public:
  explicit list(std::vector<contrail::file_info> files) : files_(std::move(files)) {}
  asio::awaitable<std::vector<contrail::file_info>> next() override { co_return std::exchange(files_, {}); }

 private:
  std::vector<contrail::file_info> files_;
};

class format final : public contrail::page_format {
 public:
  std::uint32_t page_bytes() const noexcept override { return exchange::page_bytes; }
  contrail::verdict check(std::uint64_t page, asio::const_buffer bytes) const noexcept override {
    const char* const from = static_cast<const char*>(bytes.data());
    std::uint64_t sum = 0;
    for (std::size_t b = sizeof sum; b-- > 0;) sum = sum << 8 | static_cast<unsigned char>(from[b]);
    return sum == page_sum(from, page) ? contrail::verdict::good : contrail::verdict::bad_checksum;
  }
};

class pin final : public contrail::pin {
 public:
  pin(contrail::io::file_system fs, std::filesystem::path pages, const std::vector<file>& all, contrail::read_policy reads)
      : fs_(std::move(fs)), pages_(std::move(pages)), all_(all), reads_(reads) {}
  contrail::mark at() const noexcept override { return {}; }
  contrail::pin_cost cost() const noexcept override { return {}; }
  asio::awaitable<std::vector<contrail::database_info>> databases() override {
    std::vector<contrail::database_info> out(1);
    out[0].name = out[0].restore_name = "Zürich-Ж-数据.db";
    co_return out;
  }
  asio::awaitable<std::unique_ptr<contrail::file_list>> files(contrail::database_id) override { co_return choose(false); }
  asio::awaitable<contrail::log_cut> close_generation() override {
    contrail::log_cut cut;
    cut.first_present = cut.checkpoint = cut.copy.first = 1;
    cut.copy.end = 2;
    co_return cut;
  }
  asio::awaitable<std::unique_ptr<contrail::file_list>> logs(contrail::log_range) override { co_return choose(true); }
  asio::awaitable<std::unique_ptr<contrail::source>> open(const contrail::file_info& info) override {
    const std::string name = info.name;
    const file* wanted = nullptr;
    for (const file& f : all_) {
      if (f.name == name) wanted = &f;
    }
    std::unique_ptr<contrail::source> out;
    if (wanted->pages) {
      contrail::io::open_options how;
      how.cache = contrail::io::caching::direct;
      contrail::io::random_access_file opened = co_await fs_.async_open(pages_, how, asio::use_awaitable);
      out = contrail::make_page_source(std::move(opened), name, wanted->content.size(), format_, nullptr, reads_, nullptr);
    } else {
      out = contrail::make_memory_source(wanted->content);
    }
    co_return out;
  }
  asio::awaitable<void> delete_logs(contrail::log_range) override { co_return; }
  asio::awaitable<void> record(const contrail::outcome&) override { co_return; }
  asio::awaitable<std::string> state() override { co_return std::string("state \x01\xFF\n", 8); }
  asio::awaitable<void> end(bool) override { co_return; }

 private:
  std::unique_ptr<contrail::file_list> choose(bool logs) const {
    std::vector<contrail::file_info> out;
    for (const file& f : all_) {
      if ((f.role == contrail::file_role::log) != logs) continue;
      contrail::file_info info;
      info.name = f.name;
      info.role = f.role;
      info.bytes = f.content.size();
      info.log = logs ? 1 : 0;
      info.mode = 0640;
      out.push_back(std::move(info));
    }
    return std::make_unique<list>(std::move(out));
  }

  contrail::io::file_system fs_;
  std::filesystem::path pages_;
  const std::vector<file>& all_;
  contrail::read_policy reads_;
  format format_;
};

class engine final : public contrail::engine {
 public:
  /// `pages`: where the content of the file with pages stands.
  engine(contrail::io::file_system fs, std::filesystem::path pages, std::vector<file> all)
      : fs_(std::move(fs)), pages_(std::move(pages)), all_(std::move(all)) {
    traits_.name = "exchange";
    traits_.version = "1";
    traits_.logs = traits_.roll = true;
  }
  asio::any_io_executor get_executor() const noexcept override { return fs_.get_executor(); }
  const contrail::engine_traits& traits() const noexcept override { return traits_; }
  std::error_code status() const noexcept override { return {}; }
  asio::awaitable<std::shared_ptr<void>> claim() override {
    std::shared_ptr<void> out = std::make_shared<int>(0);
    co_return out;
  }
  asio::awaitable<std::unique_ptr<contrail::pin>> begin(contrail::begin_request request) override {
    std::unique_ptr<contrail::pin> out = std::make_unique<pin>(fs_, pages_, all_, request.reads);
    const auto ex = co_await asio::this_coro::executor;
    co_await asio::post(ex, asio::use_awaitable);
    co_return out;
  }

 private:
  contrail::io::file_system fs_;
  std::filesystem::path pages_;
  std::vector<file> all_;
  contrail::engine_traits traits_;
};

/// Puts back what the set holds, as it is.
class restorer final : public contrail::restorer {
 public:
  std::string_view engine() const noexcept override { return "exchange"; }
  asio::awaitable<void> check_chain(std::vector<std::shared_ptr<const contrail::manifest>>) override { co_return; }
  asio::awaitable<std::vector<std::string>> recover(const contrail::recovery& work) override {
    std::vector<std::string> out;
    for (const contrail::restored_file& f : work.files) out.push_back(f.name);
    co_return out;
  }
  std::vector<std::string> companions(std::string_view) const override { return {}; }
  asio::awaitable<std::shared_ptr<void>> hold_target(std::filesystem::path) override {
    std::shared_ptr<void> out = std::make_shared<int>(0);
    co_return out;
  }
};

}  // namespace exchange
