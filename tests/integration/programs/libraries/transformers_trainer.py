"""A tiny GPT-2, randomly initialised, trained and evaluated by transformers' Trainer."""

import sys

import torch
from torch.utils.data import Dataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)


class Sequences(Dataset):
    """Counting up from a random number, modulo the vocabulary."""

    def __init__(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        starts = torch.randint(0, 64, (count, 1), generator=generator)
        self.tokens = (starts + torch.arange(24)) % 64

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


class Losses(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kwargs):
        for name in ("loss", "grad_norm", "eval_loss"):
            if name in logs:
                print(name, repr(float(logs[name])))


set_seed(0)
config = GPT2Config(
    vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
)
trainer = Trainer(
    model=GPT2LMHeadModel(config),
    args=TrainingArguments(
        output_dir=sys.argv[1],
        max_steps=12,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=8,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=6,
        save_steps=6,
        logging_steps=4,
        report_to="none",
        disable_tqdm=True,
    ),
    train_dataset=Sequences(256, seed=1),
    eval_dataset=Sequences(32, seed=2),
    callbacks=[Losses()],
)
trainer.train()
print("device", trainer.model.device.type, file=sys.stderr)
