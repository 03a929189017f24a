#include "cli/pagestore/bank_store.hpp"

#include "cli/failure.hpp"
#include "cli/pagestore/bank_bytes.hpp"

#include <contrail/error.hpp>

#include <asio/buffer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>

namespace contrail::cli::store_bank {

namespace {

/// Few enough for the smallest log files: a transaction has to fit into one.
constexpr std::uint64_t pages_a_transaction = 4;

std::vector<std::byte> page_of(const bank& made, std::size_t which, std::uint64_t index) {
  std::vector<std::byte> out;
  const std::uint64_t writers = made.writer_pages();
  const std::size_t count = made.databases().size();
  if (index <= writers) {
    const std::uint64_t number = (index - 1) * count + which;
    out = bytes::writer_page(made.identity(), number, 0);
    return out;
  }
  out.resize(made.accounts_a_page() * bytes::account_bytes);
  const std::uint64_t first = (index - 1 - writers) * made.accounts_a_page();
  const std::uint64_t end = std::min<std::uint64_t>(first + made.accounts_a_page(), made.accounts_in(which));
  for (std::uint64_t row = first; row < end; ++row) {
    bytes::account one;
    one.number = row * count + which;
    one.balance = opening_balance;
    bytes::put(std::span(out).subspan(static_cast<std::size_t>(row - first) * bytes::account_bytes, bytes::account_bytes), one);
  }
  return out;
}

asio::awaitable<void> put_page(pagestore::transaction* t, const bank* made, std::size_t which, std::uint64_t index,
                               const std::vector<std::byte>* content) {
  const pagestore::database in = made->databases()[which].id;
  const pagestore::page_no wanted = made->page_at(index);
  const pagestore::page_no got = co_await t->allocate(in, wanted);
  if (got != wanted) {
    fail(errc::database_corrupted, "make a bank", made->databases()[which].name, {}, fmt::format("the free page {}", wanted),
         fmt::format("page {}", got));
  }
  if (!content->empty()) {
    co_await t->write(in, got, 0, asio::buffer(content->data(), content->size()));
  }
}

asio::awaitable<void> describe(pagestore::instance* in, const bank* made) {
  pagestore::transaction t = in->begin();
  for (std::size_t which = 0; which < made->databases().size(); ++which) {
    const bank::place at = made->description(which);
    bytes::description one;
    one.identity = made->identity();
    one.which = static_cast<std::uint32_t>(which);
    one.of = static_cast<std::uint32_t>(made->databases().size());
    one.accounts = made->accounts();
    one.opening = opening_balance;
    const std::vector<std::byte> content = bytes::description_page(one);
    co_await t.write(at.in, at.page, 0, asio::buffer(content.data(), content.size()));
  }
  const pagestore::commit_info done = co_await t.commit();
  static_cast<void>(done);
}

}  // namespace

std::size_t bank::accounts_a_page() const noexcept { return payload_ / bytes::account_bytes; }
std::uint64_t bank::writer_pages() const noexcept { return (most_writers + databases_.size() - 1) / databases_.size(); }

std::uint64_t bank::accounts_in(std::size_t which) const noexcept {
  const std::uint64_t count = databases_.size();
  return (accounts_ + count - 1 - which) / count;
}

std::uint64_t bank::pages_in(std::size_t which) const noexcept {
  return 1 + writer_pages() + (accounts_in(which) + accounts_a_page() - 1) / accounts_a_page();
}

// Page 1 is a map, and so is the first of every so many that one map covers (docs/pagestore.md).
pagestore::page_no bank::page_at(std::uint64_t index) const noexcept {
  const std::uint64_t covered = 8 * (payload_ + 40 - 64);
  return static_cast<pagestore::page_no>(2 + index / (covered - 1) * covered + index % (covered - 1));
}

bank::place bank::account(std::uint64_t number) const {
  place out;
  out.which = static_cast<std::size_t>(number % databases_.size());
  out.in = databases_[out.which].id;
  const std::uint64_t row = number / databases_.size();
  out.page = page_at(1 + writer_pages() + row / accounts_a_page());
  out.offset = static_cast<std::size_t>(row % accounts_a_page()) * bytes::account_bytes;
  return out;
}

bank::place bank::writer(unsigned number) const {
  place out;
  out.which = number % databases_.size();
  out.in = databases_[out.which].id;
  out.page = page_at(1 + number / databases_.size());
  return out;
}

bank::place bank::description(std::size_t which) const {
  place out;
  out.which = which;
  out.in = databases_[which].id;
  out.page = page_at(0);
  return out;
}

asio::awaitable<void> create(pagestore::instance* in, const std::vector<store::member>& databases, std::uint64_t accounts) {
  std::random_device random;
  const std::uint64_t identity = (std::uint64_t{random()} << 32U) ^ random() ^
                                 static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  const bank made(identity, accounts, in->payload_bytes(), databases);
  for (std::size_t which = 0; which < databases.size(); ++which) {
    const std::uint64_t pages = made.pages_in(which);
    for (std::uint64_t index = 0; index < pages;) {
      pagestore::transaction t = in->begin();
      const std::uint64_t end = std::min(pages, index + pages_a_transaction);
      for (; index < end; ++index) {
        std::vector<std::byte> content;
        if (index != 0) {
          content = page_of(made, which, index);
        }
        co_await put_page(&t, &made, which, index, &content);
      }
      const pagestore::commit_info done = co_await t.commit(pagestore::durability::lazy);
      static_cast<void>(done);
    }
  }
  co_await describe(in, &made);
}

asio::awaitable<std::optional<bank>> find(store::opened* in) {
  std::vector<store::member> members;
  std::optional<bytes::description> common;
  const bank anything(0, 0, in->running.payload_bytes(), in->databases);
  for (std::size_t i = 0; i < in->databases.size(); ++i) {
    const bank::place at = anything.description(i);
    std::array<std::byte, bytes::description_bytes> content{};
    pagestore::transaction t = in->running.begin();
    try {
      const std::size_t count = co_await t.read(at.in, at.page, 0, asio::buffer(content.data(), content.size()));
      static_cast<void>(count);
    } catch (const error& e) {
      if (e.code() != errc::page_not_initialized) {
        throw;
      }
      continue;
    }
    const std::optional<bytes::description> one = bytes::get_description(content);
    if (!one) {
      continue;   // of somebody else
    }
    const std::string& name = in->databases[i].name;
    if (!common) {
      common = one;
      members.resize(one->of);
    }
    const bool fits = one->identity == common->identity && one->of == common->of && one->accounts == common->accounts &&
                      one->opening == opening_balance && one->which < one->of && members[one->which].name.empty();
    if (!fits) {
      fail(errc::database_corrupted, "look for the bank", name, {}, "one bank", "a database of another one");
    }
    members[one->which] = in->databases[i];
  }
  if (!common) {
    co_return std::nullopt;
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].name.empty()) {
      fail(errc::database_corrupted, "look for the bank", {}, {}, "all databases of the bank",
           fmt::format("the others, and not database {} of {}", i + 1, members.size()));
    }
  }
  co_return bank(common->identity, common->accounts, in->running.payload_bytes(), std::move(members));
}

asio::awaitable<std::uint64_t> last_of(pagestore::instance* in, const bank* of, unsigned writer) {
  const bank::place at = of->writer(writer);
  std::array<std::byte, bytes::writer_bytes> content{};
  pagestore::transaction t = in->begin();
  const std::size_t count = co_await t.read(at.in, at.page, 0, asio::buffer(content.data(), content.size()));
  static_cast<void>(count);
  const std::optional<std::uint64_t> last = bytes::get_writer(content, of->identity(), writer);
  if (!last) {
    fail(errc::database_corrupted, "read the bank", of->databases()[at.which].name, {}, fmt::format("the page of writer {}", writer), "another one");
  }
  co_return *last;
}

asio::awaitable<void> carry_out(pagestore::instance* in, const bank* of, transfer what) {
  pagestore::transaction t = in->begin();
  const std::array<std::uint64_t, 2> numbers{what.from, what.to};
  std::int64_t moved = what.amount;
  for (std::size_t side = 0; side < 2; ++side) {
    const bank::place at = of->account(numbers[side]);
    std::array<std::byte, bytes::account_bytes> content{};
    const std::size_t count = co_await t.read(at.in, at.page, at.offset, asio::buffer(content.data(), content.size()));
    static_cast<void>(count);
    bytes::account one = bytes::get_account(content);
    if (side == 0) {
      moved = std::min(moved, one.balance);   // nobody goes below nothing
    }
    one.balance += side == 0 ? -moved : moved;
    one.changes += 1;
    bytes::put(content, one);
    co_await t.write(at.in, at.page, at.offset, asio::buffer(content.data(), content.size()));
  }
  const bank::place mine = of->writer(what.writer);
  const std::vector<std::byte> content = bytes::writer_page(of->identity(), what.writer, what.sequence);
  co_await t.write(mine.in, mine.page, 0, asio::buffer(content.data(), content.size()));
  const pagestore::commit_info done = co_await t.commit();
  static_cast<void>(done);
}

}  // namespace contrail::cli::store_bank
