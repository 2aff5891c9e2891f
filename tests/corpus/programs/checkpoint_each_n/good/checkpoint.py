import torch


class Checkpointer:
    def __init__(self, model, optimizer, path, every):
        self.model, self.optimizer, self.path, self.every = model, optimizer, path, every

    def __call__(self, step):
        return

    def save(self, step):
        state = {
            "step": step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, self.path)
