#pragma once
#include <functional>

#include "profiles/units.h"
#include "runtime/communicator/communicator.h"
#include "runtime/communicator/launch.h"

namespace meshplan::runtime {

struct TcpOptions {
  profiles::Seconds timeout{60};  ///< of a wait, and of the others to come
  DescribePlace in_words;         ///< for the message of a failure
};

/// Ranks that are processes of any launcher, over TCP: memory of the host only. Runs `body` once,
/// as the rank that `launch` says. For the little that the GPU engine needs beside NCCL: the bytes
/// that start its communicators, failures, results. All messages go through rank 0, so it is no
/// engine for tensors.
///
/// Collectives sum in the order of ranks. Throws RankFailure when a rank throws, its process ends,
/// or a wait takes too long; the message says where every rank was.
void run_over_tcp(const Launch& launch, const TcpOptions& options,
                  const std::function<void(Communicator&)>& body);

}  // namespace meshplan::runtime
