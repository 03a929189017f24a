#include <contrail/verify.hpp>

#include "support/posix/repo_children.hpp"
#include "support/verify_place.hpp"

#include <catch2/catch.hpp>

#include <csignal>

TEST_CASE("verify: what a killed proof left is removed by the next", "[verify]") {
  verify_place p;
  p.back_up(verify_small_set());
  const int status = in_child([&] {
    asio::io_context context;
    contrail::io::file_system files(context.get_executor());
    contrail::directory_repository repo(files, p.dir / "repo");
    p.provers.with.on_recover = [](const contrail::recovery&) { ::raise(SIGKILL); };
    contrail::verify_options options;
    options.scratch = &p.scratch;
    options.files = &files;
    run_on(context, 1, [&]() -> asio::awaitable<void> { const auto r = co_await contrail::verify(repo, &p.provers, options); });
    return 1;
  });
  REQUIRE(status == -SIGKILL);
  REQUIRE_FALSE(repo_names(p.scratch).empty());
  CHECK(p.verify("latest", true).sets[0].proven);
  CHECK(repo_names(p.scratch).empty());
}
