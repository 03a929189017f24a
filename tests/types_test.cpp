#include <contrail/source.hpp>
#include <contrail/types.hpp>

#include <catch2/catch.hpp>

using contrail::file_role;
using contrail::kind;

TEST_CASE("types: names of kinds and roles go both ways", "[types]") {
  for (const kind k : {kind::full, kind::copy, kind::incremental, kind::differential}) {
    kind back = k == kind::full ? kind::copy : kind::full;
    CHECK(contrail::parse_kind(to_string(k), back));
    CHECK(back == k);
  }
  for (const file_role r : {file_role::database, file_role::log, file_role::control, file_role::label, file_role::directory, file_role::link}) {
    file_role back = r == file_role::log ? file_role::database : file_role::log;
    CHECK(contrail::parse_file_role(to_string(r), back));
    CHECK(back == r);
  }
  CHECK(to_string(kind::differential) == "differential");
  CHECK(to_string(file_role::directory) == "directory");
}

TEST_CASE("types: what is no name changes nothing", "[types]") {
  for (const char* text : {"", "Full", "ful", "full ", "incremental2"}) {
    kind k = kind::incremental;
    CHECK_FALSE(contrail::parse_kind(text, k));
    CHECK(k == kind::incremental);
    file_role r = file_role::link;
    CHECK_FALSE(contrail::parse_file_role(text, r));
    CHECK(r == file_role::link);
  }
}

TEST_CASE("types: a range is half open", "[types]") {
  contrail::log_range range;
  CHECK(range.empty());
  range.end = 1;
  CHECK_FALSE(range.empty());
  range.first = 2;
  CHECK(range.empty());
}
