#include "cli/build_info.hpp"
#include "cli/engine_table.hpp"
#include "cli/pagestore/store.hpp"

#include <contrail/engines/pagestore/restorer.hpp>
#include <contrail/io/file_names.hpp>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace contrail::cli {

namespace {

class store_keeper final : public source_keeper {
 public:
  explicit store_keeper(store::opened kept) : kept_(std::move(kept)) {}
  asio::awaitable<void> close() override { co_await kept_.running.terminate(); }
  contrail::engine& engine() { return kept_.running.backup_engine(); }

 private:
  store::opened kept_;
};

asio::awaitable<opened_source> open_pagestore(io::file_system files, std::string rest) {
  const std::filesystem::path directory = io::to_path(rest);
  const pagestore::store_facts facts = co_await pagestore::inspect(files, directory);
  store::opened running = co_await store::open(files, facts);
  auto keeper = std::make_unique<store_keeper>(std::move(running));
  opened_source out;
  out.from = &keeper->engine();
  out.keeper = std::move(keeper);
  co_return out;
}

std::unique_ptr<contrail::restorer> make_pagestore_restorer(const io::file_system& files) {
  return std::make_unique<pagestore_restorer>(files);
}

}  // namespace

scheme pagestore_scheme() {
  scheme out;
  out.name = "pagestore";
  out.syntax = "pagestore:DIRECTORY";
  out.truncates = true;
  out.version = build_info::version();   // it is a part of Contrail
  out.open = open_pagestore;
  out.restorer = make_pagestore_restorer;
  return out;
}

}  // namespace contrail::cli
