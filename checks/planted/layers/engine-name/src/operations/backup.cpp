// A comment may speak of SQLite; code may not.
int pages(const engine& from) {
  if (from.name() == "sqlite") return 1;  // expect: engine-name
  return as_pagestore(from).pages();  // expect: engine-name
}
