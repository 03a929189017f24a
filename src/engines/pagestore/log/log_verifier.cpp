#include "engines/pagestore/log/log_verifier.hpp"

namespace contrail::pagestore {

namespace {

constexpr std::size_t check_bytes = 8;

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

std::optional<std::string> log_verifier::take_header(const_byte_span block) {
  header_ = decode_log_header(block);
  if (!header_) return "the header is damaged";
  if (header_->generation != generation_) return "the header is that of generation " + number(header_->generation);
  if (header_->log != next_.log) return "a log of another store";
  if (header_->created != next_.previous_created) return "another file of this generation than the one that the next was begun after";
  chain_ = first_chain(block);
  index_ = first_sector;
  end_ = static_cast<std::uint32_t>(log_header_bytes);
  return std::nullopt;
}

std::optional<std::string> log_verifier::take_sector(const_byte_span sector) {
  sector_header found;
  const sector_state state = examine_sector(sector, generation_, index_, header_->log.random, found);
  const auto wrong = [&](const char* what) { return "sector " + number(index_) + ": " + what; };
  if (state == sector_state::damaged) return wrong("damaged");
  if (!ended_ && state == sector_state::current && found.batch == batch_ + 1 && found.index_in_batch == in_batch_) {
    checks_.insert(checks_.end(), sector.begin(), sector.begin() + check_bytes);
    if (++in_batch_ == found.sectors_in_batch) {
      chain_ = checksum(chain_, checks_);
      checks_.clear();
      in_batch_ = 0;
      ++batch_;
      end_ = (index_ + 1) * static_cast<std::uint32_t>(sector_bytes);
    }
    return std::nullopt;
  }
  if (in_batch_ != 0) return wrong("the batch before it is not whole");
  ended_ = true;
  if (state == sector_state::current) return wrong("of a batch that does not follow the one before it");
  return std::nullopt;
}

std::optional<std::string> log_verifier::take(const_byte_span chunk) {
  if (!header_) {
    if (chunk.size() < log_header_bytes) return "the file ends within its header";
    if (auto wrong = take_header(chunk.first(log_header_bytes))) return wrong;
    chunk = chunk.subspan(log_header_bytes);
  }
  for (; !chunk.empty(); chunk = chunk.subspan(sector_bytes), ++index_) {
    if (chunk.size() < sector_bytes) return "the file ends within sector " + number(index_);
    if (auto wrong = take_sector(chunk.first(sector_bytes))) return wrong;
  }
  return std::nullopt;
}

std::optional<std::string> log_verifier::finish() const {
  if (!header_) return "the file is empty";
  if (taken() != header_->file_bytes) return "the file ends at byte " + number(taken()) + " of " + number(header_->file_bytes);
  if (in_batch_ != 0) return "the last batch is not whole";
  if (end_ != next_.previous_end) return "it ends at byte " + number(end_) + ", the next generation goes on from byte " + number(next_.previous_end);
  if (chain_ != next_.previous_chain) return "the next generation was begun after another file with this number";
  return std::nullopt;
}

}  // namespace contrail::pagestore
