#include "engines/pagestore/format/checkpoint.hpp"
#include "engines/pagestore/format/database_header.hpp"
#include "engines/pagestore/format/log_header.hpp"
#include "engines/pagestore/format/page.hpp"
#include "engines/pagestore/format/trailer.hpp"

#include "fuzz/sample_mutator.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

// The first byte chooses the structure and the size of its page; the rest is the block from behind its magic on, or a page from behind its
// checksum. The block is sealed, so the checksum hides no field; what is read must be written as the same bytes.

namespace {

using namespace contrail::pagestore;

using block_bytes = std::vector<std::byte>;

block_bytes make_block(std::size_t size, std::size_t at, std::string_view magic, const_byte_span content) {
  block_bytes block(size);
  if (!magic.empty()) {
    put_magic(block, magic, 1);
  }
  std::copy_n(content.begin(), std::min(content.size(), size - at), block.begin() + static_cast<std::ptrdiff_t>(at));
  seal_block(block);
  return block;
}

void must(bool is_so) {
  if (!is_so) {
    std::abort();
  }
}

void try_database_header(std::size_t page_size, const_byte_span content) {
  const block_bytes block = make_block(page_size, 20, "CTRLPGDB", content);
  if (const auto header = decode_header(block)) {
    must(header->page_size <= page_size);
    block_bytes again(header->page_size);
    encode_header(*header, again);
    must(std::equal(again.begin(), again.end(), block.begin()));
  }
}

void try_log_header(const_byte_span content) {
  const block_bytes block = make_block(log_header_bytes, 20, "CTRLPGLG", content);
  if (const auto header = decode_log_header(block)) {
    block_bytes again(log_header_bytes);
    encode_log_header(*header, again);
    must(again == block);
  }
}

void try_checkpoint(const_byte_span content) {
  const block_bytes block = make_block(checkpoint_bytes, 20, "CTRLPGCK", content);
  if (const auto value = decode_checkpoint(block)) {
    block_bytes again(checkpoint_bytes);
    encode_checkpoint(*value, again);
    must(again == block);
  }
}

void try_page(std::size_t page_size, const_byte_span content) {
  block_bytes page = make_block(page_size, 8, "", content);
  const page_header header = get_page_header(page);
  const page_state state = examine_page(page, header.number, header.signature);
  must(state == page_state::good || state == page_state::damaged);
  if (state == page_state::good) {
    must(examine_page(page, header.number + 1, header.signature) == page_state::misplaced);
    const block_bytes before = page;
    put_page_header(page, header);
    seal_page(page, header.changed);
    must(page == before);
    page[page.size() / 2] ^= std::byte{1};
    must(examine_page(page, header.number, header.signature) == page_state::damaged);
  }
}

void try_trailer(std::size_t page_size, const_byte_span content) {
  const block_bytes page = make_block(page_size, 8, "", content);
  if (const auto trailer = decode_trailer(page)) {
    block_bytes again(page_size);
    encode_trailer(*trailer, again);
    must(again == page);
  }
}

void try_as_it_is(const_byte_span content) {
  const block_bytes block(content.begin(), content.end());
  (void)decode_header(block);
  (void)decode_log_header(block);
  (void)decode_checkpoint(block);
  (void)decode_trailer(block);
  (void)examine_page(block, 1, 1);
  for (std::uint32_t count = 0; count < 8; ++count) {
    (void)decode_attached(block, count);
  }
}

/// Whole structures, with as many databases and as long paths as there can be.
std::vector<attached_database> sample_list(unsigned n) {
  std::vector<attached_database> list(n % 3 == 0 ? n % most_databases : most_databases);
  for (std::size_t i = 0; i < list.size(); ++i) {
    list[i].id = static_cast<std::uint32_t>(i + 1);
    list[i].path.assign(n % 4 == 1 ? longest_database_path : i + 1, 'p');
  }
  return list;
}

block_bytes sample_block(unsigned choice, unsigned n) {
  block_bytes block(4096);
  database_header header;
  header.page_size = 4096;
  header.id = most_databases;
  header.max_required = last_generation;
  header.pages = largest_page_no;
  log_header log;
  log.page_size = 4096;
  log.file_bytes = 128U << 10U;
  log.generation = last_generation;
  log.previous_end = 128U << 10U;
  log.base_name = {'e', 'd', 'b', '\0'};
  log.write_unit = n % 3 == 0 ? 512 : 4096;
  log.attached = sample_list(n);
  checkpoint_block checkpoint;
  checkpoint.page_size = 32768;
  checkpoint.redo = make_lgpos(last_generation, 4096 + 32);
  checkpoint.base_name = log.base_name;
  checkpoint.attached = sample_list(n);
  page_header page;
  page.number = largest_page_no;
  database_trailer trailer;
  trailer.pages = largest_page_no;
  switch (choice) {
    case 0:
      encode_header(header, block);
      break;
    case 1:
      encode_log_header(log, block);
      break;
    case 2:
      encode_checkpoint(checkpoint, block);
      break;
    case 3:
      put_page_header(block, page);
      break;
    default:
      encode_trailer(trailer, block);
  }
  return block;
}

block_bytes sample_input(unsigned n) {
  const unsigned choice = n % 5;
  const block_bytes block = sample_block(choice, n / 5);
  block_bytes input{static_cast<std::byte>(choice)};
  input.insert(input.end(), block.begin() + (choice < 3 ? 20 : 8), block.end());
  return input;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return contrail::test::mutate_samples(data, size, max_size, seed, sample_input);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const const_byte_span content(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  const std::size_t page_size = std::size_t{4096} << (data[0] / 8 % 4);
  switch (data[0] % 8) {
    case 0:
      try_database_header(page_size, content);
      break;
    case 1:
      try_log_header(content);
      break;
    case 2:
      try_checkpoint(content);
      break;
    case 3:
      try_page(page_size, content);
      break;
    case 4:
      try_trailer(page_size, content);
      break;
    default:
      try_as_it_is(content);
  }
  return 0;
}
