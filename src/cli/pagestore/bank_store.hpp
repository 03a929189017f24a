#pragma once

#include "cli/pagestore/store.hpp"

#include <contrail/engines/pagestore.hpp>
#include <contrail/engines/pagestore/inspect.hpp>

#include <asio/awaitable.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A bank in the databases of a pagestore, whose books can be checked to the last transaction. Account a lies in database a mod K; a page of each
/// database describes the bank, and each writer has a page of its own for the number of its last transaction. A transfer changes two accounts,
/// counts in both, and stores its writer's number: so money and counts must agree in every state that transactions can leave.
namespace contrail::cli::store_bank {

constexpr unsigned most_writers = 256;
constexpr std::uint64_t most_accounts = 100'000'000;
constexpr std::int64_t opening_balance = 1000;

/// Where everything is.
class bank {
 public:
  bank() = default;
  bank(std::uint64_t identity, std::uint64_t accounts, std::size_t payload, std::vector<store::member> databases)
      : identity_(identity), accounts_(accounts), payload_(payload), databases_(std::move(databases)) {}

  struct place {
    place() = default;
    pagestore::database in;
    std::size_t which = 0;          ///< of `databases()`
    pagestore::page_no page = 0;
    std::size_t offset = 0;         ///< in the page's payload
  };
  place account(std::uint64_t number) const;
  place writer(unsigned number) const;
  place description(std::size_t which) const;

  std::uint64_t identity() const noexcept { return identity_; }
  std::uint64_t accounts() const noexcept { return accounts_; }
  std::int64_t expected_total() const noexcept { return static_cast<std::int64_t>(accounts_) * opening_balance; }
  const std::vector<store::member>& databases() const noexcept { return databases_; }
  std::size_t accounts_a_page() const noexcept;
  /// Accounts in one database.
  std::uint64_t accounts_in(std::size_t which) const noexcept;
  /// Pages of one database, in the order in which they are allocated: the description, the writers', the accounts'.
  std::uint64_t pages_in(std::size_t which) const noexcept;
  pagestore::page_no page_at(std::uint64_t index) const noexcept;
  std::uint64_t writer_pages() const noexcept;

 private:
  std::uint64_t identity_ = 0, accounts_ = 0;
  std::size_t payload_ = 0;
  std::vector<store::member> databases_;
};

/// Puts a bank into new, empty databases. It is one when the last of them has been described: nothing before is taken for a bank.
[[nodiscard]] asio::awaitable<void> create(pagestore::instance* in, const std::vector<store::member>& databases, std::uint64_t accounts);

/// The bank of a store; nothing when there is none. Fails with `errc::database_corrupted` when its description cannot be right, and as
/// `transaction::read`.
[[nodiscard]] asio::awaitable<std::optional<bank>> find(store::opened* in);

/// The number of a writer's last transaction.
[[nodiscard]] asio::awaitable<std::uint64_t> last_of(pagestore::instance* in, const bank* of, unsigned writer);

struct transfer {
  unsigned writer = 0;
  std::uint64_t sequence = 0;
  std::uint64_t from = 0, to = 0;   ///< different accounts
  std::int64_t amount = 0;
};
/// One transaction, durable on return. Fails with `errc::write_conflict`: then nothing has happened.
[[nodiscard]] asio::awaitable<void> carry_out(pagestore::instance* in, const bank* of, transfer what);

struct books {
  books() = default;
  std::optional<std::int64_t> total;                           ///< absent: not every account could be read
  std::vector<std::pair<unsigned, std::uint64_t>> writers;     ///< those that have ever committed: number, last transaction
};
/// Reads all of it. What is wrong is told to `damaged`, with paths below `directory`.
[[nodiscard]] asio::awaitable<books> audit(pagestore::instance* in, const bank* of, std::filesystem::path directory,
                                           std::function<void(const pagestore::found_damage&)> damaged);

}  // namespace contrail::cli::store_bank
