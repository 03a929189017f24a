#pragma once

#include "engines/pagestore/format/bytes.hpp"
#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/page.hpp"

#include <contrail/engines/pagestore/types.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Records of the log: what is written and what recovery acts on. All of a transaction is one record.
namespace contrail::pagestore {

constexpr std::size_t record_header_bytes = 24;
constexpr std::uint8_t record_durable = 1;   ///< flag: the commit was asked to be durable
constexpr std::uint8_t record_engine = 2;    ///< flag: the engine's own change (growth)

enum class record_type : std::uint8_t {
  commit = 1, create = 2, attach = 3, detach = 4, shutdown = 5, recovered = 6, start = 7, end_of_generation = 8, backup = 60
};

enum class change_kind : std::uint8_t { image = 1, delta = 2, format = 3, free = 4 };

/// A piece of a page: bytes from `offset` on, counted from the page's first byte.
struct page_piece {
  std::uint16_t offset = 0;
  const_byte_span content;
};

/// A change of a page, as it is read from a record. Refers to the record's bytes.
struct page_change {
  page_change() = default;
  std::uint8_t id = 0;                     ///< of the database
  change_kind kind = change_kind::delta;
  page_no number = 0;
  std::uint64_t before = 0;                ///< dbtime of the page
  std::uint64_t after = 0;
  page_kind page = page_kind::data;        ///< image, format
  std::uint32_t hole = 0, hole_bytes = 0;  ///< image: zeros that are left out; offset from the page's first byte
  const_byte_span head, tail;                  ///< image: payload before and behind the hole
  std::vector<page_piece> pieces;          ///< delta
};

struct touched_database {
  std::uint8_t id = 0;
  std::uint64_t dbtime = 0;                ///< after the transaction
};

struct record_header {
  std::uint32_t length = 0;                ///< bytes with this header, without padding to 8
  record_type type = record_type::commit;
  std::uint8_t flags = 0;
  std::uint64_t time = 0;                  ///< nanoseconds since 1970
};

/// create, attach, detach.
struct database_record {
  database_record() = default;
  std::uint8_t id = 0;
  signature database;
  std::uint32_t page_size = 0;             ///< create
  std::uint32_t pages = 0;                 ///< create
  // create, attach: what the file's header told before
  std::uint64_t dbtime = 0;
  lgpos cleaned;
  signature log;
  std::string path;                        ///< create, attach
};
/// recovered.
struct recovered_record {
  recovered_record() = default;
  lgpos end;
  std::vector<touched_database> databases;
};
/// backup (ESE specification, section 4.4).
struct backup_event {
  std::uint8_t phase = 0;                  ///< 1 to 6
  std::uint8_t scope = 0;
  std::uint8_t type = 0;
  std::uint8_t id = 0;                     ///< of the database, where one is meant
  std::uint64_t mark = 0;
  std::uint64_t time = 0;
  std::uint32_t low = 0, high = 0;
};

/// Builds records one behind the other, each padded to 8 bytes. The checksum depends on where a record comes to stand, so it is put in by
/// `seal_record`, when that is known. What a reader would refuse throws errc::invalid_parameter, and `out` then holds a part of it: an id or a
/// page number out of bounds, a change whose dbtime `before` is not below its database's, a path too long.
class record_builder {
 public:
  explicit record_builder(std::vector<std::byte>& out) : out_(out) {}

  /// A transaction: the databases it touched, then each change, then `finish`.
  void begin_commit(std::uint8_t flags, std::uint64_t time, std::span<const touched_database> databases);
  /// The whole `page`, its kind from its header.
  void image(std::uint8_t id, page_no number, std::uint64_t before, const_byte_span page);
  /// `page` against `old_page`, both whole and of one size: a delta, or an image when that would take more than three quarters of a page, or
  /// the kind of the page has changed.
  void difference(std::uint8_t id, page_no number, std::uint64_t before, const_byte_span old_page, const_byte_span page);
  void format(std::uint8_t id, page_no number, std::uint64_t before, page_kind kind);
  void free(std::uint8_t id, page_no number, std::uint64_t before);

  void begin_database(record_type type, std::uint64_t time, const database_record& content);
  void begin_recovered(std::uint64_t time, const recovered_record& content);
  void begin_backup(std::uint64_t time, const backup_event& content);
  /// start: a text for people; shutdown, end_of_generation: empty.
  void begin_plain(record_type type, std::uint64_t time, std::string_view text = {});
  /// Ends the record; its length with padding.
  std::size_t finish();

 private:
  std::size_t begin(record_type type, std::uint8_t flags, std::uint64_t time);
  std::size_t change(std::uint8_t id, change_kind kind, std::uint16_t count, page_no number, std::uint64_t before);
  std::vector<std::byte>& out_;
  std::size_t start_ = 0;
  std::uint32_t changes_ = 0;
  std::vector<touched_database> databases_;
};

/// Checksum of the record that begins at `record` and will stand at `at`.
void seal_record(byte_span record, lgpos at) noexcept;

/// The record at the front of `payload`, which will stand at `at`: nothing when it is not whole, its checksum does not fit, or a field is out
/// of bounds.
std::optional<record_header> read_record(const_byte_span payload, lgpos at) noexcept;
constexpr std::size_t padded(std::size_t length) noexcept { return (length + 7) / 8 * 8; }

/// What a commit record holds. Nothing when a field leads out of the record or a page. `record`: from its header on, `length` bytes.
struct commit_record {
  commit_record() = default;
  std::vector<touched_database> databases;
  std::vector<page_change> changes;
};
std::optional<commit_record> read_commit(const_byte_span record, std::uint32_t page_size);
std::optional<database_record> read_database_record(const_byte_span record);
std::optional<recovered_record> read_recovered(const_byte_span record);
std::optional<backup_event> read_backup_event(const_byte_span record);

/// What a page is after an image, format or free change (all but the checksum and position): `page` is the whole page.
void make_page(const page_change& change, std::uint64_t signature, byte_span page) noexcept;
/// Puts a delta on the page it was made from.
void apply_delta(const page_change& change, byte_span page) noexcept;
/// The most bytes that the changes of one page can take in a record.
constexpr std::size_t largest_change(std::uint32_t page_size) noexcept { return 24 + page_size; }

}  // namespace contrail::pagestore
