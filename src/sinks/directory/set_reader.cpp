#include "sinks/directory/set_reader.hpp"

#include <contrail/error.hpp>
#include <contrail/io/file_names.hpp>
#include "async/file_calls.hpp"
#include "sinks/directory/layout.hpp"

#include <algorithm>
#include <utility>

namespace contrail::directory {

namespace {

constexpr std::size_t least_memory = std::size_t{768} << 10;   // a restore with 1 MiB keeps a quarter for itself
constexpr std::size_t buffer_bytes = std::size_t{256} << 10;
constexpr std::size_t most_buffers = 32;
constexpr std::size_t reads_in_flight = 8;

}  // namespace

// Half of the memory for buffers, a quarter for the table of paths; the rest is small.
asio::awaitable<std::unique_ptr<contrail::set_reader>> set_reader::open(io::file_system fs, std::filesystem::path repository,
                                                                        std::string set, std::size_t memory) {
  if (memory < least_memory) {
    fail(errc::invalid_parameter, "read set " + set, repository.string(), {}, "memory of at least " + std::to_string(least_memory),
         std::to_string(memory));
  }
  const std::size_t buffer = std::min(buffer_bytes, memory / 16);
  const std::size_t count = std::min(most_buffers, memory / 2 / buffer);
  std::unique_ptr<set_reader> reader(new set_reader(std::move(fs), std::move(repository), set, memory / 4, buffer, count));
  manifest m = co_await read_manifest(reader->fs_, reader->texts_, reader->repository_, set, reader->operation_);
  reader->info_ = std::make_shared<const manifest>(std::move(m));
  co_await reader->check_list();
  std::unique_ptr<contrail::set_reader> out = std::move(reader);
  co_return out;
}

set_reader::set_reader(io::file_system fs, std::filesystem::path repository, const std::string& set, std::size_t table,
                       std::size_t buffer, std::size_t count)
    : fs_(std::move(fs)),
      repository_(std::move(repository)),
      directory_(repository_ / set),
      set_(set),
      operation_("read set " + set),
      texts_(fs_.get_executor(), 2, text_buffer_bytes),
      pool_(fs_.get_executor(), count, buffer),
      paths_(table),
      to_search_(1, directory_) {}

std::string set_reader::name_below(const std::filesystem::path& path) const {
  std::string name;
  for (const std::filesystem::path& part : path.lexically_relative(directory_)) {
    if (!name.empty()) name += '/';
    name += io::to_text(part);
  }
  return name;
}

// A set may come from a system that allows names which this one does not have.
std::filesystem::path set_reader::path_of(const std::string& stored, const std::string& name) const {
  try {
    return directory_ / io::to_path(stored);
  } catch (const std::system_error&) {
    fail(errc::set_incomplete, operation_, name, {}, "a file with this name", "nothing; this system cannot store the name");
  }
}

asio::awaitable<void> set_reader::check_list() {
  const std::filesystem::path path = directory_ / list_name;
  line_reader list(fs_, path, texts_, operation_);
  co_await list.open();
  std::uint64_t bytes = 0;
  bool room = true;
  bool whole = true;
  while (true) {
    const std::optional<std::string> line = co_await list.next();
    if (!line.has_value()) break;
    try {
      const manifest_file f = manifest_file::read(*line, list_name);
      bytes += f.bytes;
      room = room && paths_.add(f.file.name, stored_name(f.file));
    } catch (const error&) {
      whole = false;
      // Reported when the line is handed out, if the digest says that these are the bytes that were written.
    }
  }
  const std::string found = list.digest_text();
  if (found != info_->root_digest) {
    fail(errc::set_damaged, operation_, std::string(list_name), {}, "digest " + info_->root_digest, found);
  }
  if (list.lines() != info_->files) {
    fail(errc::set_damaged, operation_, std::string(list_name), {}, std::to_string(info_->files) + " files", std::to_string(list.lines()));
  }
  if (whole && bytes != info_->bytes) {
    fail(errc::set_damaged, operation_, std::string(list_name), {}, std::to_string(info_->bytes) + " bytes in all", std::to_string(bytes));
  }
  if (!room) {
    fail(errc::out_of_memory, operation_, std::string(list_name), {}, "a list that fits into the memory allowed",
         std::to_string(info_->files) + " files; allow more memory");
  }
  paths_.seal();
  list_ = std::make_unique<line_reader>(fs_, path, texts_, operation_);
  co_await list_->open();
}

asio::awaitable<std::optional<manifest_file>> set_reader::next_file() {
  std::optional<manifest_file> out;
  file_.reset();
  input_.reset();
  if (!list_ended_) {
    list_ended_ = true;   // should reading fail, no later call tries again
    const std::optional<std::string> line = co_await list_->next();
    if (line.has_value()) {
      list_ended_ = false;
      manifest_file f = manifest_file::read(*line, list_name);
      if (paths_.conflicts(f.file.name)) {
        fail(errc::set_damaged, operation_, std::string(list_name), {}, "paths that differ, none leading through another", f.file.name);
      }
      if (f.file.role == file_role::directory || f.file.role == file_role::link || f.file.unchanged) {
        fail(errc::format_unknown, operation_, f.file.name, {}, "a file with its bytes", "a kind of entry that this version does not know");
      }
      digest_ = digest();
      file_ = f;
      out = std::move(f);
      co_return out;
    }
    const std::string again = list_->digest_text();
    if (again != info_->root_digest) {
      fail(errc::set_damaged, operation_, std::string(list_name), {}, "the bytes that were there at first", "others");
    }
  }
  co_await find_foreign();
  co_return out;
}

// One by one: every call after the last file names another one, until there is none left.
asio::awaitable<void> set_reader::find_foreign() {
  while (true) {
    if (!foreign_.empty()) {
      const std::string name = std::move(foreign_.back());
      foreign_.pop_back();
      fail(errc::foreign_file, operation_, name, {}, "the files of the set and no others", "this; it is not part of the set");
    }
    if (to_search_.empty()) co_return;
    const std::filesystem::path directory = std::move(to_search_.back());
    to_search_.pop_back();
    const calls::listing content = co_await calls::list(fs_, directory);
    calls::check(content.ec, operation_, directory);
    for (const io::entry& e : content.entries) {
      const std::filesystem::path path = directory / e.name;
      std::string name = name_below(path);
      if (e.type == io::entry_type::directory) {
        if (paths_.has_directory(name)) {
          to_search_.push_back(path);
        } else {
          foreign_.push_back(std::move(name));
        }
        continue;
      }
      if (name == manifest_name || name == list_name) continue;
      if (!paths_.has_stored(name)) foreign_.push_back(std::move(name));
    }
    // From the last to the first when they are reported.
    std::reverse(foreign_.begin(), foreign_.end());
  }
}

// A link among the directories on the way to a file would be followed by the system without a word.
asio::awaitable<void> set_reader::check_way(const std::string& name) {
  const std::size_t end = name.rfind('/');
  const std::string way = end == std::string::npos ? std::string() : name.substr(0, end);
  if (way == way_) co_return;
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::filesystem::path directory = path_of(name.substr(0, slash), name);
    const calls::found there = co_await calls::stat(fs_, directory);
    if (calls::is_missing(there.ec) || there.ec == std::errc::not_a_directory) {
      fail(errc::set_incomplete, operation_, name, {}, "the directory " + name.substr(0, slash), "nothing");
    }
    calls::check(there.ec, operation_, directory);
    if (there.entry.type != io::entry_type::directory) {
      fail(errc::set_damaged, operation_, name, {}, "the directory " + name.substr(0, slash), "a file, or a link, which is not followed");
    }
  }
  way_ = way;
}

asio::awaitable<std::optional<set_reader::chunk>> set_reader::next() {
  std::optional<chunk> out;
  if (!file_.has_value()) fail(errc::invalid_backup_sequence, operation_, {}, {}, "next_file before next");
  // Whatever goes wrong ends this file; the next call must be next_file.
  const manifest_file file = std::move(*file_);
  file_.reset();
  const std::string& name = file.file.name;
  if (input_ == nullptr) {
    co_await check_way(name);
    const std::filesystem::path path = path_of(stored_name(file.file), name);
    io::random_access_file opened = co_await open_stored(fs_, path, name, operation_, file.bytes);
    input_ = std::make_unique<read_ahead>(std::move(opened), file.bytes, pool_, reads_in_flight);
  }
  read_ahead::piece piece = co_await input_->next();
  if (piece.ec == std::errc::io_error) {
    fail(errc::set_damaged, operation_, name, piece.offset + piece.bytes, "readable bytes", piece.ec.message());
  }
  if (piece.ec) fail(piece.ec, operation_, name, piece.offset + piece.bytes);
  if (piece.end) {
    input_.reset();
    const std::string found = digest_.text();
    if (digest_.bytes() != file.bytes) {
      fail(errc::set_damaged, operation_, name, digest_.bytes(), std::to_string(file.bytes) + " bytes", "a file that ends there");
    }
    if (found != file.digest) fail(errc::set_damaged, operation_, name, {}, "digest " + file.digest, found);
    co_return out;
  }
  if (piece.bytes == 0 || piece.offset != digest_.bytes()) {
    fail(errc::set_damaged, operation_, name, piece.offset, std::to_string(file.bytes) + " bytes", "a file that ends there");
  }
  const asio::const_buffer bytes(piece.data.buffer().data(), piece.bytes);
  digest_.update(bytes);
  out.emplace();
  out->offset = piece.offset;
  out->data = std::move(piece.data);
  out->bytes = piece.bytes;
  file_ = std::move(file);
  co_return out;
}

}  // namespace contrail::directory
