"""The discriminator's and the generator's step upload the same real batch."""
import train_lib
