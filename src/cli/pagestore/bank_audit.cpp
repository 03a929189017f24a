#include "cli/failure.hpp"
#include "cli/pagestore/bank_bytes.hpp"
#include "cli/pagestore/bank_store.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>

#include <asio/buffer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace contrail::cli::store_bank {

namespace {

using pagestore::found_damage;

/// Position of a page's payload in its file.
std::uint64_t byte_of(pagestore::page_no page, std::size_t page_size) { return (std::uint64_t{page} + 1) * page_size; }

class auditor {
 public:
  auditor(pagestore::instance* in, const bank* of, std::filesystem::path directory, std::function<void(const found_damage&)> damaged)
      : in_(in), of_(of), directory_(std::move(directory)), damaged_(std::move(damaged)), page_(in->payload_bytes()) {}

  asio::awaitable<books> run();

 private:
  asio::awaitable<bool> read(bank::place at);
  asio::awaitable<void> audit_writers();
  asio::awaitable<void> audit_accounts(std::size_t which);
  void audit_account(bank::place at, std::uint64_t number);
  void tell(bank::place at, std::string what);

  pagestore::instance* in_;
  const bank* of_;
  std::filesystem::path directory_;
  std::function<void(const found_damage&)> damaged_;
  std::vector<std::byte> page_;
  books out_;
  std::int64_t total_ = 0;
  std::uint64_t changes_ = 0, transactions_ = 0;
  bool all_read_ = true, writers_read_ = true;
};

void auditor::tell(bank::place at, std::string what) {
  constexpr std::size_t page_head = 40;
  found_damage d;
  d.file = io::to_text(directory_ / io::to_path(of_->databases()[at.which].name));
  d.offset = byte_of(at.page, page_.size() + page_head) + page_head + at.offset;
  d.what = std::move(what);
  damaged_(d);
}

/// The whole page of it; false when it cannot be had, which was told.
asio::awaitable<bool> auditor::read(bank::place at) {
  pagestore::transaction t = in_->begin();
  try {
    const std::size_t count = co_await t.read(at.in, at.page, 0, asio::buffer(page_.data(), page_.size()));
    static_cast<void>(count);
  } catch (const error& e) {
    if (!is_damage(e.code()) && e.code() != errc::page_not_initialized) {
      throw;
    }
    found_damage d;
    d.file = io::to_text(directory_ / io::to_path(of_->databases()[at.which].name));
    d.offset = e.details().offset.value_or(byte_of(at.page, page_.size() + 40));
    d.what = e.what();
    damaged_(d);
    co_return false;
  }
  co_return true;
}

asio::awaitable<void> auditor::audit_writers() {
  for (unsigned number = 0; number < most_writers; ++number) {
    const bank::place at = of_->writer(number);
    const bool there = co_await read(at);
    if (!there) {
      writers_read_ = false;
      continue;
    }
    const std::optional<std::uint64_t> last = bytes::get_writer(page_, of_->identity(), number);
    if (!last) {
      writers_read_ = false;
      tell(at, fmt::format("expected the page of writer {}, found another one", number));
    } else if (*last != 0) {
      out_.writers.emplace_back(number, *last);
      transactions_ += *last;
    }
  }
}

void auditor::audit_account(bank::place at, std::uint64_t number) {
  const std::span<const std::byte> row = std::span<const std::byte>(page_).subspan(at.offset, bytes::account_bytes);
  const bytes::account one = bytes::get_account(row);
  if (one.number != number || !bytes::is_whole(row)) {
    tell(at, fmt::format("expected account {}, found something else, or parts of two states", number));
    all_read_ = false;
    return;
  }
  total_ += one.balance;
  changes_ += one.changes;
}

asio::awaitable<void> auditor::audit_accounts(std::size_t which) {
  const std::uint64_t count = of_->accounts_in(which), a_page = of_->accounts_a_page();
  for (std::uint64_t first = 0; first < count; first += a_page) {
    const bank::place at = of_->account(first * of_->databases().size() + which);
    const bool there = co_await read(at);
    if (!there) {
      all_read_ = false;
      continue;
    }
    for (std::uint64_t row = first; row < std::min(count, first + a_page); ++row) {
      const std::uint64_t number = row * of_->databases().size() + which;
      audit_account(of_->account(number), number);
    }
  }
}

asio::awaitable<books> auditor::run() {
  co_await audit_writers();
  for (std::size_t which = 0; which < of_->databases().size(); ++which) {
    co_await audit_accounts(which);
  }
  if (!all_read_) {
    co_return std::move(out_);
  }
  out_.total = total_;
  std::string problem;
  if (total_ != of_->expected_total()) {
    problem = fmt::format("the accounts hold {}, expected {}", total_, of_->expected_total());
  }
  if (writers_read_ && changes_ != 2 * transactions_) {
    problem += fmt::format("{}the accounts were changed {} times, expected {} for {} transactions", problem.empty() ? "" : "; ", changes_,
                           2 * transactions_, transactions_);
  }
  if (!problem.empty()) {
    tell(of_->description(0), problem);
  }
  co_return std::move(out_);
}

}  // namespace

asio::awaitable<books> audit(pagestore::instance* in, const bank* of, std::filesystem::path directory,
                             std::function<void(const found_damage&)> damaged) {
  auditor work(in, of, std::move(directory), std::move(damaged));
  books out = co_await work.run();
  co_return out;
}

}  // namespace contrail::cli::store_bank
