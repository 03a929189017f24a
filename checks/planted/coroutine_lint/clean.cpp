// The safe forms, and look-alikes: nothing here may be reported.
#include <asio/co_spawn.hpp>

namespace contrail {

struct [[nodiscard]] settings {
  std::string name{"co_await {} ? asio::detached"};
  std::vector<int> list{1, 2, 3};
  explicit settings(int n) : list{n, n}, name("x") {}
  bool ready() const { return list.empty() ? false : true; }
};

enum class state : int { idle, busy };

[[nodiscard]] asio::awaitable<std::size_t> copy(file from, settings what) {
  const char* text = R"(if (co_await x) { asio::detached })";  // co_await f({1, 2}) ? asio::detached : 0
  settings named{3};
  options set{.name = "x", .size = 1'000};
  const auto n = co_await write(from, std::move(named));
  const auto path = co_await open(std::filesystem::path("x"), std::string{"y"}, std::size_t{1});
  auto [ec, bytes] = co_await from.async_read_some_at(0, asio::buffer(text), asio::experimental::as_tuple(asio::use_awaitable));
  if (ec && n > 0) co_return 0;
  while (from.more()) {
    const bool more = co_await step(from);
    if (!more) break;
  }
  for (const auto& entry : named.list) co_await visit(entry);
  for (int i = 0; i < 3; ++i) {
    co_await visit(i);
  }
  const int rank = known ? 1 : 2;
  const int at = known ? rank : 3;
  co_await visit(at);
  auto job = [&named] { return named.list.size(); };
  const auto size = co_await offload(std::move(job));
  auto initiation = make_initiation(from, what);
  co_await asio::async_initiate<token_type, void()>(std::move(initiation), token);
  auto twice = [](int x) -> asio::awaitable<int> { co_return 2 * x; }(4);
  const int eight = co_await std::move(twice);
  co_await each(list, [](int x) { return x + 1; });
  std::exception_ptr failure;
  try {
    co_await flush(from);
  } catch (const std::exception&) {
    failure = std::current_exception();
    auto later = [](file f) -> asio::awaitable<void> { co_await flush(f); };
    keep(later);
  }
  if (failure) co_await undo(from);
  std::sort(list.begin(), list.end(), [&](int a, int b) { return order{a} < order{b}; });
  co_await write(from, settings{4});  // lint: allow(aggregate-temporary): settings has a constructor
  co_return co_await size_of(from);
}

template <typename Token>
auto async_copy(asio::any_io_executor ex, file from, Token&& token) {
  return asio::async_initiate<Token, void(int)>(initiate_copy{from}, token, [x = 1](int y) { return x + y; });
}

int run(asio::io_context& context) {
  asio::co_spawn(context, [&]() -> asio::awaitable<void> { co_await copy(file(), settings(1)); }, [](std::exception_ptr e) { check(e); });
  const int four = [x = 4] { return x; }();
  return four ? static_cast<int>(context.run()) : int{0};
}

}  // namespace contrail
