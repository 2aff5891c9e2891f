"""A service that answers requests one by one, as the first version of many does.

What goes wrong: each request is uploaded, run and read back alone.  The values for normalizing
images are made on the host for each of them, and the answer is read from the device in three parts
(a device tensor as an index is read, too), three waits.  The device is hardly used: what it has to
do for one image takes less than its launch.

What the audit says: PA103 where mean and deviation are made and uploaded, once per request; PA201
for each part of the answer.  Which batch size would keep the device busy it does not say.  What to
change: keep what never changes on the device, and answer the requests that are waiting together:
one upload, one read.
"""

import argparse
import queue
import threading

import torch
from torch import nn

SIZE = 32


class Service:
    """A classifier of images, and the requests that wait for it."""

    def __init__(self, device):
        torch.manual_seed(0)
        self.device = device
        self.model = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 15 * 15, 10)
        )
        self.model.to(device).eval()
        self.waiting = queue.Queue()
        self.answers = {}

    @torch.inference_mode()
    def serve(self):
        """Answer requests until one is None."""
        while (request := self.waiting.get()) is not None:
            number, image = request
            self.answers[number] = self.answer(image)

    def answer(self, image):
        """The class of one image and its probability."""
        mean = torch.tensor([0.485, 0.456, 0.406]).to(self.device)  # stray: PA103
        deviation = torch.tensor([0.229, 0.224, 0.225]).to(self.device)  # stray: PA103
        x = image.to(self.device).div(255)
        x = (x - mean[:, None, None]) / deviation[:, None, None]
        probabilities = self.model(x[None]).softmax(1)[0]
        best = probabilities.argmax()
        return best.item(), probabilities[best].item()  # stray: PA201


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=512)
    args = parser.parse_args()
    service = Service(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    generator = torch.Generator().manual_seed(0)
    for number in range(args.requests):
        image = torch.randint(256, (3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        service.waiting.put((number, image))
    service.waiting.put(None)
    worker = threading.Thread(target=service.serve)
    worker.start()
    worker.join()
    sure = sum(probability for _, probability in service.answers.values())
    print(f"{len(service.answers)} answers, probability {sure / args.requests:.4f} on average")


if __name__ == "__main__":
    main()
