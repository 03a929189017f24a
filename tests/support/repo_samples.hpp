#pragma once

#include <contrail/manifest.hpp>
#include "support/repo_sign.hpp"

#include <string>

/// A manifest with something in every field.
inline contrail::manifest repo_sample_manifest() {
  contrail::manifest m;
  m.set = "20261123T101500Z-1f2e3d4c";
  m.sequence = 7;
  m.created_unix_ns = 1795428900123456789;
  m.engine = "sqlite";
  m.engine_version = "3.40.1";
  m.engine_state = "\xff\x80 state";
  m.signature = "caf\xc3\xa9";
  m.page_bytes = 4096;
  m.logs.end = 5;
  contrail::manifest_database d;
  d.name = "/srv/b\xe4nk.db";
  d.restore_name = "bank.db";
  m.databases.push_back(d);
  m.files = 2;
  m.root_digest = repo_digest("lines");
  return m;
}

/// A line with something in every field.
inline contrail::manifest_file repo_sample_line() {
  contrail::manifest_file f;
  f.file.name = "dir/app.db-wal";
  f.file.role = contrail::file_role::log;
  f.file.log = 12;
  f.file.mode = 0640;
  f.file.owner = "1000:100";
  f.bytes = 4152;
  f.valid = 4100;
  f.digest = repo_digest("x");
  return f;
}
