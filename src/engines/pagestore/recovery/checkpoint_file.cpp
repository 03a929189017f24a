#include "engines/pagestore/recovery/checkpoint_file.hpp"

#include "engines/pagestore/log/log_directory.hpp"
#include "engines/pagestore/twin_file.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"

#include <string>
#include <utility>

namespace contrail::pagestore {

asio::awaitable<checkpoint_state> read_checkpoint(io::file_system fs, const parameters& how) {
  checkpoint_state out;
  const std::filesystem::path path = checkpoint_path(how);
  const std::string name = io::to_text(path);
  const io::open_options options;
  calls::opened opened = co_await calls::open(fs, path, options);
  if (calls::is_missing(opened.ec)) co_return out;
  if (opened.ec) fail(opened.ec, "read checkpoint", name);
  out.present = true;
  twin_place place;
  place.second = checkpoint_bytes;
  place.bytes = checkpoint_bytes;
  const twin_copies copies = co_await read_twins(opened.file, place, "read checkpoint", name);
  if (copies.first.size() == checkpoint_bytes) out.in_force = decode_checkpoint(copies.first);
  std::optional<checkpoint_block> second;
  if (copies.second.size() == checkpoint_bytes) second = decode_checkpoint(copies.second);
  if (second && (!out.in_force || second->update > out.in_force->update)) {
    out.in_force = std::move(second);
    out.second_in_force = true;
  }
  co_return out;
}

}  // namespace contrail::pagestore
