#include "runtime/communicator/tcp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "communicator_claims.h"
#include "profiles/input_error.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;
using testing::AllOf;
using testing::HasSubstr;

/// A port that nobody uses at this moment.
int free_port() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(s, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(s, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(s);
  return ntohs(address.sin_port);
}

Launch launch_of(int rank, int ranks, int port) {
  return {rank, ranks, rank, "127.0.0.1", port, Launcher::Torchrun};
}

/// What each rank said in the end: its failure, or nothing.
std::vector<std::string> run(int ranks, Seconds timeout,
                             const std::function<void(Communicator&)>& body) {
  const int port = free_port();
  std::vector<std::string> said(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        run_over_tcp(launch_of(r, ranks, port), {timeout, {}}, body);
      } catch (const std::exception& error) {
        said[static_cast<std::size_t>(r)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return said;
}

TEST(Tcp, KeepsEveryClaim) {
  for (const int ranks : {1, 2, 3, 4}) {
    const auto said = run(ranks, Seconds{20}, [](Communicator& world) {
      for (const Claim& claim : kClaims) claim.check(world);
    });
    for (const std::string& words : said) EXPECT_EQ(words, "") << ranks << " ranks";
  }
}

TEST(Tcp, ARankThatThrowsEndsTheOthersWithEverybodysPlace) {
  const auto said = run(3, Seconds{20}, [](Communicator& world) {
    world.note({.step = 3, .instruction = 10 + world.rank()});
    world.barrier();
    if (world.rank() == 2) throw std::runtime_error("out of luck");
    world.barrier();
  });
  for (const std::string& words : said) {
    EXPECT_THAT(words, AllOf(HasSubstr("rank 2: out of luck"),
                             HasSubstr("rank 0 at step 3, instruction 10"),
                             HasSubstr("rank 1 at step 3, instruction 11")));
  }
}

TEST(Tcp, ARankThatIsSilentIsNamedAfterTheTimeout) {
  const auto said = run(2, Seconds{0.3}, [](Communicator& world) {
    std::vector<float> x(3);
    if (world.rank() == 1) world.receive(x, 0, 4);  // which nobody sends
  });
  // Rank 0 waits for rank 1 at the end: one of them speaks first, and both hear it.
  EXPECT_THAT(said[1], HasSubstr(" waited 0.3"));
  EXPECT_THAT(said[0], HasSubstr(" waited 0.3"));
}

TEST(Tcp, AProcessThatEndsIsNoticed) {
  const int port = free_port();
  const pid_t child = fork();
  if (child == 0) {
    try {
      run_over_tcp(launch_of(1, 2, port), {Seconds{20}, {}}, [](Communicator& world) {
        world.barrier();
        _exit(9);  // without a word
      });
    } catch (...) {
    }
    _exit(1);
  }
  std::string said;
  try {
    run_over_tcp(launch_of(0, 2, port), {Seconds{20}, {}}, [](Communicator& world) {
      world.barrier();
      world.barrier();
    });
  } catch (const RankFailure& failure) {
    said = failure.what();
  }
  EXPECT_THAT(said, HasSubstr("rank 1: its process ended"));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 9);
}

TEST(Tcp, OneRankOfAMachineTellsOfAFailure) {
  const int port = free_port();
  std::vector<std::string> told(4);
  std::vector<std::thread> threads;
  for (int r = 0; r < 4; ++r) {
    threads.emplace_back([&, r] {
      Launch launch = launch_of(r, 4, port);
      launch.local_rank = r % 2;  // two machines of two
      TcpOptions options;
      options.timeout = Seconds{20};
      options.tell = [&told, r](const RankFailure& failure) {
        told[static_cast<std::size_t>(r)] = failure.what();
      };
      EXPECT_THROW(run_over_tcp(launch, options,
                                [](Communicator& world) {
                                  world.barrier();
                                  if (world.rank() == 3) throw std::runtime_error("out of luck");
                                  world.barrier();
                                }),
                   RankFailure);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int r : {0, 2}) EXPECT_THAT(told[r], HasSubstr("rank 3: out of luck"));
  for (const int r : {1, 3}) EXPECT_EQ(told[r], "");
}

TEST(Tcp, AStrangerAtThePortHarmsNobody) {
  const int port = free_port();
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  const auto rank = [&](int r) {
    run_over_tcp(launch_of(r, 2, port), {Seconds{20}, {}}, [&](Communicator& world) {
      world.barrier();
      ++done;
    });
  };
  threads.emplace_back(rank, 0);
  const int stranger = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  while (connect(stranger, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    std::this_thread::yield();
  }
  // As long as a header, and then some; asks for terabytes.
  const std::vector<unsigned char> noise(100, 0xff);
  EXPECT_EQ(send(stranger, noise.data(), noise.size(), 0), 100);
  threads.emplace_back(rank, 1);
  for (std::thread& thread : threads) thread.join();
  close(stranger);
  EXPECT_EQ(done, 2);
}

TEST(Tcp, WithoutAnAddressNobodyMeets) {
  Launch nowhere = launch_of(0, 2, free_port());
  nowhere.address.clear();
  EXPECT_THROW(run_over_tcp(nowhere, {Seconds{1}, {}}, [](Communicator&) {}), profiles::InputError);
}

TEST(Tcp, APortThatIsTakenIsSaid) {
  const int taken = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_any;
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int port = ntohs(address.sin6_port);
  std::string said;
  try {
    run_over_tcp(launch_of(0, 2, port), {Seconds{1}, {}}, [](Communicator&) {});
  } catch (const RankFailure& failure) {
    said = failure.what();
  }
  close(taken);
  EXPECT_THAT(said, HasSubstr("port " + std::to_string(port)));
}

TEST(Tcp, ARankThatDoesNotComeIsNamed) {
  std::string said;
  try {
    run_over_tcp(launch_of(0, 3, free_port()), {Seconds{0.3}, {}}, [](Communicator&) {});
  } catch (const RankFailure& failure) {
    said = failure.what();
  }
  EXPECT_THAT(said, HasSubstr("rank 1, 2 did not come within 0.3"));
}

}  // namespace
}  // namespace meshplan::runtime
