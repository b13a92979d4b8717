#include "kernels/shape_check.h"

#include <stdexcept>
#include <string>
#include <string_view>

namespace meshplan::kernels {
namespace {

std::string text(std::int64_t rows, std::int64_t cols) {
  return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
}

/// Refuses arguments in the name of one operation. Texts are put together on refusal only.
class Check {
 public:
  explicit Check(const Operation& op) : operation_(name(op)) {}

  void that(bool condition, std::string_view expected) const {
    if (!condition) refuse(std::string(expected));
  }

  void shape(std::string_view argument, const ConstTensorView& view, std::int64_t rows,
             std::int64_t cols) const {
    if (view.rows != rows || view.cols != cols)
      refuse(std::string(argument) + " " + text(rows, cols) + ", found " +
             text(view.rows, view.cols));
    storage(argument, view);
  }

  void storage(std::string_view argument, const ConstTensorView& view) const {
    if (view.rows < 0 || view.cols < 0) refuse(std::string(argument) + " of no negative extent");
    if (view.empty() && view.elements() != 0) refuse(std::string(argument) + " with memory");
    if (view.rows > 1 && view.row_stride < view.cols)
      refuse("rows of " + std::string(argument) + " that do not overlap");
  }

  void size(std::string_view argument, std::size_t found, std::int64_t expected) const {
    if (static_cast<std::int64_t>(found) != expected)
      refuse(std::to_string(expected) + " elements of " + std::string(argument) + ", found " +
             std::to_string(found));
  }

  void same_type(std::string_view arguments, const ConstTensorView& a,
                 const ConstTensorView& b) const {
    if (a.type != b.type) refuse(std::string(arguments) + " of one storage type");
  }

  void f32(std::string_view argument, const ConstTensorView& view) const {
    if (view.type != ElementType::F32) refuse(std::string(argument) + " in F32");
  }

  /// [1, cols] in F32, added to; or empty.
  void parameter_gradient(std::string_view argument, const ConstTensorView& view,
                          std::int64_t cols) const {
    if (view.empty()) return;
    shape(argument, view, 1, cols);
    f32(argument, view);
  }

 private:
  [[noreturn]] void refuse(const std::string& expected) const {
    throw std::invalid_argument(std::string(operation_) + ": expected " + expected);
  }

  std::string_view operation_;
};

/// x and y of an elementwise operation.
void check_alike(const Check& check, std::string_view argument, const ConstTensorView& x,
                 const ConstTensorView& other) {
  check.shape(argument, other, x.rows, x.cols);
  check.same_type("the activations", x, other);
}

void check_attention(const Check& check, const AttentionShape& s) {
  check.that(s.batch >= 1 && s.heads >= 1 && s.kv_heads >= 1 && s.head_dim >= 1,
             "batch, heads, kv_heads and head_dim of at least 1");
  check.that(s.query_len >= 0 && s.kv_len >= 0, "lengths of at least 0");
  check.that(s.heads % s.kv_heads == 0, "heads to be a multiple of kv_heads");
}

void check_dropout(const Check& check, const AttentionShape& s, const AttentionDropout& dropout) {
  check.that(dropout.probability >= 0.0F && dropout.probability < 1.0F,
             "a probability of at least 0 and below 1");
  if (!dropout.drops()) return;
  check.that(s.query_offset >= 0, "no keys ahead of the first query where probabilities drop");
  check.that(dropout.first_head >= 0 && dropout.first_head + s.heads <= dropout.model_heads &&
                 dropout.first_sequence >= 0,
             "heads and sequences of the whole where probabilities drop");
}

void check_keys(const Check& check, std::string_view argument, const AttentionShape& s,
                const ConstTensorView& view) {
  check.storage(argument, view);
  check.that(view.cols == s.kv_heads * s.head_dim,
             "keys and values of kv_heads * head_dim columns");
  check.that(view.rows % s.batch == 0 && view.rows / s.batch >= s.kv_len,
             "keys and values of at least kv_len rows a sequence");
}

}  // namespace

void check_shapes(const Gemm& op) {
  const Check check(op);
  const std::int64_t m = op.transpose_a ? op.a.cols : op.a.rows;
  const std::int64_t k = op.transpose_a ? op.a.rows : op.a.cols;
  const std::int64_t n = op.transpose_b ? op.b.rows : op.b.cols;
  check.storage("a", op.a);
  check.shape("b", op.b, op.transpose_b ? n : k, op.transpose_b ? k : n);
  check.shape("c", op.c, m, n);
  check.same_type("a and b", op.a, op.b);
  check.that(op.c.type == op.a.type || op.c.type == ElementType::F32, "c in F32 or like a");
  if (op.bias.empty()) return;
  check.shape("bias", op.bias, 1, n);
  check.that(!op.accumulate, "no bias together with accumulate");
}

void check_shapes(const BiasForward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("bias", op.bias, 1, op.x.cols);
  check_alike(check, "y", op.x, op.y);
}

void check_shapes(const BiasBackward& op) {
  const Check check(op);
  check.storage("dy", op.dy);
  check.shape("dbias", op.dbias, 1, op.dy.cols);
  check.f32("dbias", op.dbias);
}

void check_shapes(const LayerNormForward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("gamma", op.gamma, 1, op.x.cols);
  check.shape("beta", op.beta, 1, op.x.cols);
  check_alike(check, "y", op.x, op.y);
  check.size("mean", op.mean.size(), op.x.rows);
  check.size("rstd", op.rstd.size(), op.x.rows);
}

void check_shapes(const LayerNormBackward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("gamma", op.gamma, 1, op.x.cols);
  check_alike(check, "dy", op.x, op.dy);
  check_alike(check, "dx", op.x, op.dx);
  check.size("mean", op.mean.size(), op.x.rows);
  check.size("rstd", op.rstd.size(), op.x.rows);
  check.parameter_gradient("dgamma", op.dgamma, op.x.cols);
  check.parameter_gradient("dbeta", op.dbeta, op.x.cols);
  check.that(op.dgamma.empty() == op.dbeta.empty(), "both of dgamma and dbeta, or neither");
}

void check_shapes(const RmsNormForward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("gamma", op.gamma, 1, op.x.cols);
  check_alike(check, "y", op.x, op.y);
  check.size("rstd", op.rstd.size(), op.x.rows);
}

void check_shapes(const RmsNormBackward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("gamma", op.gamma, 1, op.x.cols);
  check_alike(check, "dy", op.x, op.dy);
  check_alike(check, "dx", op.x, op.dx);
  check.size("rstd", op.rstd.size(), op.x.rows);
  check.parameter_gradient("dgamma", op.dgamma, op.x.cols);
}

void check_shapes(const ActivationForward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check_alike(check, "y", op.x, op.y);
}

void check_shapes(const ActivationBackward& op) {
  const Check check(op);
  check.storage("x", op.x);
  check_alike(check, "dy", op.x, op.dy);
  check_alike(check, "dx", op.x, op.dx);
}

void check_shapes(const GatedActivationForward& op) {
  const Check check(op);
  check.storage("gate", op.gate);
  check_alike(check, "up", op.gate, op.up);
  check_alike(check, "y", op.gate, op.y);
}

void check_shapes(const GatedActivationBackward& op) {
  const Check check(op);
  check.storage("gate", op.gate);
  check_alike(check, "up", op.gate, op.up);
  check_alike(check, "dy", op.gate, op.dy);
  check_alike(check, "dgate", op.gate, op.dgate);
  check_alike(check, "dup", op.gate, op.dup);
}

void check_shapes(const RotaryTable& op) {
  const Check check(op);
  check.storage("cosine", op.cosine);
  check.shape("sine", op.sine, op.cosine.rows, op.cosine.cols);
  check.f32("cosine", op.cosine);
  check.f32("sine", op.sine);
  check.that(op.theta > 0, "theta above 0");
}

void check_shapes(const Rotary& op) {
  const Check check(op);
  check.storage("x", op.x);
  check_alike(check, "y", op.x, op.y);
  check.storage("cosine", op.cosine);
  check.shape("sine", op.sine, op.cosine.rows, op.cosine.cols);
  check.f32("cosine", op.cosine);
  check.f32("sine", op.sine);
  check.that(op.head_dim >= 1 && op.x.cols % op.head_dim == 0, "columns of whole heads");
  check.that(2 * op.cosine.cols <= op.head_dim, "tables of at most head_dim / 2 columns");
  check.that(op.sequence_len >= 1, "sequence_len of at least 1");
  check.that(op.first_position >= 0 && op.first_position + op.sequence_len <= op.cosine.rows,
             "tables that hold every position");
}

void check_shapes(const AttentionForward& op) {
  const Check check(op);
  const AttentionShape& s = op.shape;
  check_attention(check, s);
  check.shape("q", op.q, s.batch * s.query_len, s.heads * s.head_dim);
  check_keys(check, "k", s, op.k);
  check_keys(check, "v", s, op.v);
  check_alike(check, "out", op.q, op.out);
  check.same_type("q and k", op.q, op.k);
  check.same_type("q and v", op.q, op.v);
  check.size("log_sum_exp", op.log_sum_exp.size(), s.batch * s.heads * s.query_len);
  check_dropout(check, s, op.dropout);
}

void check_shapes(const AttentionBackward& op) {
  const Check check(op);
  const AttentionShape& s = op.shape;
  check_attention(check, s);
  check.shape("q", op.q, s.batch * s.query_len, s.heads * s.head_dim);
  check_keys(check, "k", s, op.k);
  check_keys(check, "v", s, op.v);
  check_alike(check, "out", op.q, op.out);
  check_alike(check, "dout", op.q, op.dout);
  check_alike(check, "dq", op.q, op.dq);
  check_keys(check, "dk", s, op.dk);
  check_keys(check, "dv", s, op.dv);
  for (const ConstTensorView& view : {op.k, op.v, ConstTensorView(op.dk), ConstTensorView(op.dv)})
    check.same_type("q, k, v and their gradients", op.q, view);
  check.size("log_sum_exp", op.log_sum_exp.size(), s.batch * s.heads * s.query_len);
  check_dropout(check, s, op.dropout);
}

void check_shapes(const AttentionMerge& op) {
  const Check check(op);
  const AttentionShape& s = op.shape;
  check_attention(check, s);
  check.shape("out", op.out, s.batch * s.query_len, s.heads * s.head_dim);
  check_alike(check, "other", op.out, op.other);
  check.size("log_sum_exp", op.log_sum_exp.size(), s.batch * s.heads * s.query_len);
  check.size("other_log_sum_exp", op.other_log_sum_exp.size(), s.batch * s.heads * s.query_len);
}

void check_shapes(const CrossEntropyMax& op) {
  const Check check(op);
  check.storage("logits", op.logits);
  check.that(op.logits.cols >= 1, "at least one class");
  check.size("row_max", op.row_max.size(), op.logits.rows);
}

void check_shapes(const CrossEntropySum& op) {
  const Check check(op);
  check.storage("logits", op.logits);
  check.size("targets", op.targets.size(), op.logits.rows);
  check.size("row_max", op.row_max.size(), op.logits.rows);
  check.size("sum_exp", op.sum_exp.size(), op.logits.rows);
  check.size("target_logit", op.target_logit.size(), op.logits.rows);
}

void check_shapes(const CrossEntropyLoss& op) {
  const Check check(op);
  check.storage("logits", op.logits);
  check.size("targets", op.targets.size(), op.logits.rows);
  check.size("row_max", op.row_max.size(), op.logits.rows);
  check.size("sum_exp", op.sum_exp.size(), op.logits.rows);
  check.size("target_logit", op.target_logit.size(), op.logits.rows);
  check.size("loss", op.loss.size(), op.logits.rows);
  if (!op.dlogits.empty()) check_alike(check, "dlogits", op.logits, op.dlogits);
}

void check_shapes(const NormalFill& op) {
  const Check check(op);
  check.storage("y", op.y);
  check.that(op.first_row >= 0 && op.first_column >= 0, "a shard inside the tensor");
}

void check_shapes(const Dropout& op) {
  const Check check(op);
  check.storage("x", op.x);
  check_alike(check, "y", op.x, op.y);
  check.that(op.probability >= 0 && op.probability < 1, "0 <= probability < 1");
  check.that(op.first_row >= 0 && op.first_column >= 0, "a shard inside the tensor");
}

void check_shapes(const EmbeddingForward& op) {
  const Check check(op);
  check.storage("table", op.table);
  check.shape("y", op.y, op.y.rows, op.table.cols);
  check.size("ids", op.ids.size(), op.y.rows);
}

void check_shapes(const EmbeddingBackward& op) {
  const Check check(op);
  check.storage("dtable", op.dtable);
  check.f32("dtable", op.dtable);
  check.shape("dy", op.dy, op.dy.rows, op.dtable.cols);
  check.size("ids", op.ids.size(), op.dy.rows);
}

void check_shapes(const ResidualAdd& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("residual", op.residual, op.x.rows, op.x.cols);
  check.shape("y", op.y, op.x.rows, op.x.cols);
}

void check_shapes(const Copy& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.shape("y", op.y, op.x.rows, op.x.cols);
}

void check_shapes(const Fill& op) { Check(op).storage("y", op.y); }

void check_shapes(const AdamW& op) {
  const Check check(op);
  const ConstTensorView parameter = op.parameter;
  check.storage("parameter", parameter);
  check.f32("parameter", parameter);
  for (const TensorView& moment : {op.first_moment, op.second_moment}) {
    check.shape("a moment", moment, parameter.rows, parameter.cols);
    check.f32("a moment", moment);
  }
  check.shape("gradient", op.gradient, parameter.rows, parameter.cols);
  if (!op.copy.empty()) check.shape("copy", op.copy, parameter.rows, parameter.cols);
  check.that(op.step >= 1, "step of at least 1");
}

void check_shapes(const SumOfSquares& op) {
  const Check check(op);
  check.storage("x", op.x);
  check.that(op.sum != nullptr, "sum with memory");
}

}  // namespace meshplan::kernels
