#include "cli/engine_table.hpp"

namespace contrail::cli {

scheme sqlite_scheme() {
  scheme out;
  out.name = "sqlite";
  out.syntax = "sqlite:PATH";
  out.build_option = "CONTRAIL_SQLITE";
  return out;
}

}  // namespace contrail::cli
