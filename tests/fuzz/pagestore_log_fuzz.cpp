#include "engines/pagestore/format/log_record.hpp"
#include "engines/pagestore/format/log_sector.hpp"

#include "fuzz/sample_mutator.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

// The first byte chooses: sectors of a log (with the batches and records in them), one record, or one change of a page in a transaction. Its
// checksums are put right, so they hide no field. Every buffer is as long as what it holds, so that a byte too far is seen.

namespace {

using namespace contrail::pagestore;

using exact_bytes = std::vector<std::byte>;

constexpr std::uint64_t log_random = 0x1234;
constexpr std::uint32_t generation = 5;
constexpr lgpos place = make_lgpos(generation, 4096 + 32);

// What the first byte chooses, by its lowest two bits; the next two choose the size of a page.
enum choice : unsigned { some_sectors, a_batch, a_record, a_change };

void must(bool is_so) {
  if (!is_so) {
    std::abort();
  }
}

void try_change(const page_change& change, std::uint32_t page_size) {
  exact_bytes page(page_size);
  if (change.kind != change_kind::delta) {
    make_page(change, 7, page);
  } else {
    page_header header;
    header.number = change.number;
    header.dbtime = change.before;
    header.signature = 7;
    put_page_header(page, header);
    apply_delta(change, page);
  }
  must(get_page_header(page).dbtime == change.after);
  seal_page(page, place);
  must(examine_page(page, change.number, 7) == page_state::good);
}

void try_commit(const_byte_span record, std::uint32_t page_size) {
  const std::optional<commit_record> commit = read_commit(record, page_size);
  if (!commit) {
    return;
  }
  for (const page_change& change : commit->changes) {
    try_change(change, page_size);
  }
}

/// What another builder than a transaction's made is built again from what was read: it must be the same.
void try_rebuild(const_byte_span record, const record_header& header) {
  exact_bytes again;
  record_builder builder(again);
  if (const auto content = read_database_record(record)) {
    builder.begin_database(header.type, header.time, *content);
  } else if (const auto recovered = read_recovered(record)) {
    builder.begin_recovered(header.time, *recovered);
  } else if (const auto event = read_backup_event(record)) {
    builder.begin_backup(header.time, *event);
  } else {
    return;
  }
  builder.finish();
  store<std::uint8_t>(again, 13, header.flags);
  seal_record(again, place);
  must(again.size() == padded(record.size()) && std::equal(record.begin(), record.end(), again.begin()));
}

/// Every record in `payload`, which is sealed where its length allows.
void try_records(exact_bytes payload, std::uint32_t page_size) {
  std::size_t at = 0;
  while (payload.size() - at >= record_header_bytes) {
    const byte_span rest = byte_span(payload).subspan(at);
    const std::uint32_t length = load<std::uint32_t>(rest, 8);
    if (length >= record_header_bytes && length <= rest.size()) {
      seal_record(rest, place);
    }
    const std::optional<record_header> header = read_record(rest, place);
    if (!header) {
      return;
    }
    const exact_bytes record(rest.begin(), rest.begin() + header->length);
    try_commit(record, page_size);
    try_rebuild(record, *header);
    at += padded(header->length);
  }
}

/// Sectors, each as it is and with its check put right; those of a batch that is whole are gathered.
void try_sectors(const_byte_span content, std::uint32_t page_size) {
  exact_bytes payload;
  sector_header last;
  std::uint32_t index = first_sector;
  for (std::size_t at = 0; at < content.size(); at += sector_bytes, ++index) {
    const const_byte_span part = content.subspan(at, std::min(sector_bytes, content.size() - at));
    exact_bytes sector(sector_bytes);
    std::copy(part.begin(), part.end(), sector.begin());
    sector_header header;
    (void)examine_sector(sector, generation, index, log_random, header);
    store<std::uint32_t>(sector, 12, index);
    store<std::uint64_t>(sector, 0, checksum(log_random, const_byte_span(sector).subspan(8)));
    const sector_state state = examine_sector(sector, generation, index, log_random, header);
    must(state != sector_state::zero);
    if (state != sector_state::current) {
      must(state == sector_state::damaged || header.generation < generation);
      payload.clear();
      continue;
    }
    if (header.index_in_batch == 0 || header.batch != last.batch || header.index_in_batch != last.index_in_batch + 1) {
      payload.clear();
    }
    last = header;
    const const_byte_span used = const_byte_span(sector).subspan(sector_header_bytes);
    payload.insert(payload.end(), used.data(), used.data() + header.used);
    if (header.index_in_batch + 1 == header.sectors_in_batch) {
      try_records(exact_bytes(payload.begin(), payload.end()), page_size);
    }
  }
}

/// A batch of `payload`: written, read and gathered it must be what it was.
void try_batch(const_byte_span payload, std::uint32_t write_unit) {
  if (payload.empty()) {
    return;
  }
  exact_bytes sectors;
  std::uint64_t chain = 1;
  encode_batch(payload, generation, first_sector, 1, write_unit, log_random, chain, sectors);
  must(sectors.size() == batch_bytes(payload.size(), write_unit) && chain == raise_chain(1, sectors));
  exact_bytes gathered;
  for (std::size_t i = 0; i < sectors.size() / sector_bytes; ++i) {
    const const_byte_span sector = const_byte_span(sectors).subspan(i * sector_bytes, sector_bytes);
    sector_header header;
    must(examine_sector(sector, generation, first_sector + static_cast<std::uint32_t>(i), log_random, header) == sector_state::current);
    const const_byte_span part = sector.subspan(sector_header_bytes, header.used);
    gathered.insert(gathered.end(), part.begin(), part.end());
  }
  must(std::equal(gathered.begin(), gathered.end(), payload.begin(), payload.end()));
}

/// A record of this type around the content.
exact_bytes record_around(std::uint8_t type, const_byte_span content) {
  exact_bytes record(record_header_bytes + content.size());
  store<std::uint32_t>(record, 8, static_cast<std::uint32_t>(record.size()));
  store<std::uint8_t>(record, 12, type);
  std::copy(content.begin(), content.end(), record.begin() + record_header_bytes);
  return record;
}

/// A transaction on database 3 whose only change is the content: kind, pieces, body.
exact_bytes change_around(const_byte_span content) {
  if (content.size() < 2) {
    return {};
  }
  constexpr std::size_t head = record_header_bytes + 8 + 16 + 16;
  exact_bytes record(head + padded(content.size() - 2));
  store<std::uint32_t>(record, 8, static_cast<std::uint32_t>(record.size()));
  store<std::uint8_t>(record, 12, 1);
  store<std::uint16_t>(record, record_header_bytes, 1);
  store<std::uint32_t>(record, record_header_bytes + 4, 1);
  store<std::uint8_t>(record, record_header_bytes + 8, 3);
  store<std::uint64_t>(record, record_header_bytes + 16, 20);
  store<std::uint8_t>(record, head - 15, static_cast<std::uint8_t>(content[0]));
  store<std::uint16_t>(record, head - 14, static_cast<std::uint8_t>(content[1]));
  store<std::uint32_t>(record, head - 12, 9);
  std::copy(content.begin() + 2, content.end(), record.begin() + head);
  return record;
}

constexpr std::size_t only_change_at = record_header_bytes + 8 + 16;   // in a transaction on one database

/// A transaction on one database, or two, with changes that reach the end of the page.
exact_bytes sample_commit(unsigned n, bool one) {
  const std::vector<touched_database> databases{{3, 20}, {5, 30}};
  exact_bytes old_page(4096);
  page_header header;
  header.number = 9;
  put_page_header(old_page, header);
  exact_bytes page = old_page;
  for (const std::size_t at : {page_header_bytes, std::size_t{200}, page.size() - 3}) {
    std::fill_n(page.begin() + static_cast<std::ptrdiff_t>(at), 3, std::byte{0x5a});
  }
  exact_bytes out;
  record_builder builder(out);
  builder.begin_commit(record_durable, 1, std::span(databases).first(one ? 1 : 2));
  for (unsigned i = n; i < n + (one ? 1 : 4); ++i) {
    switch (i % 4) {
      case 0:
        builder.difference(3, 9, 7, old_page, page);
        break;
      case 1:
        builder.image(3, 9, 7, n % 8 < 4 ? page : old_page);
        break;
      case 2:
        builder.format(3, 9, 7, page_kind::data);
        break;
      default:
        builder.free(one ? 3 : 5, 9, 7);
    }
  }
  builder.finish();
  return out;
}

exact_bytes sample_record(unsigned n) {
  exact_bytes out;
  record_builder builder(out);
  const std::array<record_type, 3> types{record_type::create, record_type::attach, record_type::detach};
  database_record content;
  content.id = most_databases;
  content.page_size = 4096;
  content.pages = 16;
  content.path.assign(n % 8 < 4 ? longest_database_path : 5, 'p');
  recovered_record recovered;
  recovered.databases = {{1, 5}, {6, 9}};
  backup_event event;
  event.phase = 6;
  event.high = last_generation;
  switch (n % 6) {
    case 0:
      return sample_commit(n / 6, false);
    case 1:
      builder.begin_recovered(1, recovered);
      break;
    case 2:
      builder.begin_backup(1, event);
      break;
    default:
      builder.begin_database(types[n % 3], 1, content);
  }
  builder.finish();
  return out;
}

exact_bytes sample_input(unsigned n) {
  exact_bytes input(2);
  input[0] = static_cast<std::byte>(n % 4);
  n /= 4;
  exact_bytes one = input[0] == std::byte{a_change} ? sample_commit(n, true) : sample_record(n);
  std::uint64_t chain = 0;
  switch (static_cast<unsigned>(input[0])) {
    case some_sectors: {
      const exact_bytes payload = one;
      encode_batch(payload, generation, first_sector, 1, 512, log_random, chain, one);
      break;
    }
    case a_batch:
      break;
    case a_record:
      input[1] = one[12];
      one.erase(one.begin(), one.begin() + record_header_bytes);
      break;
    default:   // kind and count of the change, then its body
      input.push_back(one[only_change_at + 1]);
      input.push_back(one[only_change_at + 2]);
      one.erase(one.begin(), one.begin() + only_change_at + 16);
  }
  input.insert(input.end(), one.begin(), one.end());
  return input;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return contrail::test::mutate_samples(data, size, max_size, seed, sample_input);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::uint32_t page_size = std::uint32_t{4096} << (data[0] / 4 % 4);
  const const_byte_span content(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  switch (data[0] % 4) {
    case some_sectors:
      try_sectors(content, page_size);
      break;
    case a_batch:
      try_batch(content, data[1] % 2 == 0 ? 512 : 4096);
      break;
    case a_record: {
      exact_bytes one = record_around(data[1], content);
      one.resize(padded(one.size()));
      try_records(exact_bytes(one.begin(), one.end()), page_size);
      break;
    }
    default:
      try_commit(change_around(content), page_size);
  }
  return 0;
}
