#pragma once
#include <functional>

#include "profiles/units.h"
#include "runtime/communicator/communicator.h"
#include "runtime/communicator/launch.h"

namespace meshplan::runtime {

struct TcpOptions {
  profiles::Seconds timeout{60};  ///< of a wait, and of the others to come
  DescribePlace in_words;         ///< for the message of a failure
  /// Called by one rank of each machine when a rank has failed, before all of them throw; by every
  /// rank when that was rank 0, who knew where the others were.
  std::function<void(const RankFailure&)> tell = {};
};

/// Ranks that are processes of any launcher, over TCP: memory of the host only. Runs `body` once,
/// as the rank that `launch` says. For the little that the GPU engine needs beside NCCL: the bytes
/// that start its communicators, failures, results. All messages go through rank 0, so tensors
/// move slowly: CPU ranks use it where there is no MPI.
///
/// Collectives sum in the order of ranks. Throws InputError when `launch` does not tell where the
/// ranks meet; RankFailure when they cannot meet, a rank throws, its process ends, or a wait takes
/// too long: the message says where every rank was.
void run_over_tcp(const Launch& launch, const TcpOptions& options,
                  const std::function<void(Communicator&)>& body);

}  // namespace meshplan::runtime
