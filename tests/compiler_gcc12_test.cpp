// The forms of coroutine code that GCC 12 compiles to wrong code, and the forms that this project uses instead. The safe forms must hold
// on every compiler. The unsafe ones are tried where that can be done without harm, and reported: when an upgrade makes them right, the
// rule in checks/coroutine_lint.py may go.
#include "support/run.hpp"

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace {

/// Counts itself by address, and so survives being destroyed twice: the destructor touches nothing that it owns.
struct tracker {
  static inline std::multiset<const void*> living;
  static inline int strays = 0;   ///< destructors that ran where nothing lived
  static void reset() {
    living.clear();
    strays = 0;
  }
  static bool right() { return living.empty() && strays == 0; }

  tracker() { living.insert(this); }
  tracker(const tracker&) { living.insert(this); }
  tracker(tracker&&) noexcept { living.insert(this); }
  tracker& operator=(const tracker&) = default;
  tracker& operator=(tracker&&) noexcept = default;
  ~tracker() {
    const auto at = living.find(this);
    if (at == living.end()) ++strays;
    else living.erase(at);
  }
};

struct aggregate {
  tracker a;
  int n = 0;
};

struct constructed {
  explicit constructed(int v) : n(v) {}
  tracker a;
  int n = 0;
};

asio::awaitable<void> turn() {
  auto ex = co_await asio::this_coro::executor;
  co_await asio::post(ex, asio::use_awaitable);
}

asio::awaitable<int> take_aggregate(aggregate x) {
  co_await turn();
  co_return x.n;
}
asio::awaitable<int> take_constructed(constructed x) {
  co_await turn();
  co_return x.n;
}
asio::awaitable<int> take_function(std::function<int()> f) {
  co_await turn();
  co_return f();
}
asio::awaitable<int> take_tracker(tracker) {
  co_await turn();
  co_return 7;
}
asio::awaitable<tracker> give() {
  co_await turn();
  co_return tracker();
}
asio::awaitable<bool> yes() {
  co_await turn();
  co_return true;
}

/// Runs a captureless coroutine and says whether every object was destroyed exactly once.
template <typename Body>
bool destroys_once(Body body) {
  tracker::reset();
  asio::io_context context;
  bool ran = false;
  run_on(context, 1, [&ran, body]() -> asio::awaitable<void> {
    co_await body();
    ran = true;
  });
  REQUIRE(ran);
  return tracker::right();
}

/// An unsafe form: told, never failed.
void report(const char* form, bool right) {
  WARN(form << ": " << (right ? "compiled right" : "miscompiled") << " by this compiler");
  SUCCEED();
}

}  // namespace

TEST_CASE("compiler: the forms in use are compiled right", "[compiler]") {
  SECTION("a named aggregate, moved") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      aggregate x;
      x.n = 3;
      const int n = co_await take_aggregate(std::move(x));
      if (n != 3) throw std::logic_error("n");
    }));
  }
  SECTION("a temporary of a class with a constructor") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      const int n = co_await take_constructed(constructed(4));
      if (n != 4) throw std::logic_error("n");
    }));
  }
  SECTION("a named lambda with captures, moved") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      tracker t;
      auto f = [t] {
        static_cast<void>(t);
        return 5;
      };
      const int n = co_await take_function(std::move(f));
      if (n != 5) throw std::logic_error("n");
    }));
  }
  SECTION("an awaited value goes into a local first") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      tracker got = co_await give();
      aggregate x;
      x.a = got;
      co_await turn();
    }));
  }
  SECTION("a choice is made before") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      const bool which = co_await yes();
      tracker t;
      if (which) {
        tracker other = co_await give();
        t = other;
      }
      const int n = co_await take_tracker(t);
      if (n != 7) throw std::logic_error("n");
    }));
  }
  SECTION("an awaited condition is a local") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      const bool on = co_await yes();
      if (!on) throw std::logic_error("condition");
    }));
  }
  SECTION("an aggregate made into an awaitable before it is awaited") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      auto work = take_aggregate(aggregate{});
      const int n = co_await std::move(work);
      if (n != 0) throw std::logic_error("n");
    }));
  }
  SECTION("a captureless lambda coroutine with parameters") {
    CHECK(destroys_once([]() -> asio::awaitable<void> {
      const auto f = [](tracker t) -> asio::awaitable<void> {
        static_cast<void>(t);
        co_await turn();
      };
      tracker mine;
      co_await f(mine);
    }));
  }
}

TEST_CASE("compiler: the forms that are banned", "[compiler]") {
  SECTION("aggregate temporary") {
    report("f(aggregate{}) beside co_await", destroys_once([]() -> asio::awaitable<void> {
             const int n = co_await take_aggregate(aggregate{});   // lint: allow(aggregate-temporary): a record of the fault
             if (n != 0) throw std::logic_error("n");
           }));
  }
  SECTION("aggregate initialized from an awaited value") {
    report("aggregate{co_await f()}", destroys_once([]() -> asio::awaitable<void> {
             const aggregate x{co_await give(), 1};   // lint: allow(await-in-braces): a record of the fault
             if (x.n != 1) throw std::logic_error("n");
           }));
  }
  SECTION("temporary lambda with captures") {
    report("f([captures] {...}) beside co_await", destroys_once([]() -> asio::awaitable<void> {
             tracker t;
             const int n = co_await take_function([t] {   // lint: allow(lambda-with-await): a record of the fault
               static_cast<void>(t);
               return 6;
             });
             if (n != 6) throw std::logic_error("n");
           }));
  }
  SECTION("conditional operator with an awaited condition") {
    report("co_await f() ? a : b", destroys_once([]() -> asio::awaitable<void> {
             tracker other;
             const tracker t = co_await yes() ? tracker() : other;   // lint: allow(conditional): a record of the fault
             static_cast<void>(t);
           }));
  }
  SECTION("conditional operator among the arguments") {
    report("co_await f(x ? a : b)", destroys_once([]() -> asio::awaitable<void> {
             tracker other;
             const bool which = tracker::strays != 0;
             // lint: allow(conditional): it is what is tried
             const int n = co_await take_tracker(which ? other : tracker());
             if (n != 7) throw std::logic_error("n");
           }));
  }
  // Not tried, for they crash at once: `if (co_await f())` in a coroutine without locals, a capturing lambda coroutine called in place.
}
