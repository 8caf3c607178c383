#!/usr/bin/env bash
# tokenizers 0.23.3 (Python): `BpeTrainer(vocab_size=N)` bounds the vocabulary neither from above nor from
# below, and says nothing. Below the number of different characters all of them are kept (9 pieces where 3 were
# asked for); a text without enough repeated pairs gives fewer (16 where 500 were asked for, 9 with
# min_frequency=100, which no pair reaches). A model whose embedding was sized by the number that was asked for
# then has rows that are never trained, or too few.
#
# So sizes go by what the written tokenizer.json has, and a command that trains one should say both numbers.
#
# Seen:
#   asked 3, min_frequency 0: 9
#   asked 500, min_frequency 0: 16
#   asked 500, min_frequency 100: 9
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q tokenizers==0.23.3
seen=$("$folder/v/bin/python" - <<'P'
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import BpeTrainer

text = ["the cat sat on the mat the cat sat"] * 3
for asked, least in [(3, 0), (500, 0), (500, 100)]:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Whitespace()
    trainer = BpeTrainer(vocab_size=asked, min_frequency=least, show_progress=False)
    tokenizer.train_from_iterator(text, trainer)
    print(f"asked {asked}, min_frequency {least}: {tokenizer.get_vocab_size()}")
P
)
wanted='asked 3, min_frequency 0: 9
asked 500, min_frequency 0: 16
asked 500, min_frequency 100: 9'
[ "$seen" = "$wanted" ] || { printf 'changed:\n%s\n' "$seen" >&2; exit 1; }
printf 'as before:\n%s\n' "$seen"
