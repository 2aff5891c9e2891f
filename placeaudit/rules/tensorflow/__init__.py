"""Rules on TensorFlow's copies and waits.

Most rules' evidence is the same in both frameworks; what is here words their advice for TensorFlow
and looks at arrays where PyTorch's rules look at tensors.  Of the catalogue these say nothing
of TensorFlow:

* PA104, PA107: they need every operation's tensors, which are recorded in PyTorch only.
* PA202, PA203, PA207: which host memory is page-locked is TensorFlow's own affair, and no option of
  a program's changes it.
* PA205: ``tf.test.experimental.sync_devices`` and asynchronous eager mode are not recorded.
* PA206, PA208: no copy returns before it is done; an index is an argument like any other, whose
  uploads are PA102's and PA103's.
* PA303, PA305, PA306, PA307: variables stay where they were made; nothing moves a model.
* PA403: what ``save`` reads is not told apart from other reads.
"""
