"""Hold each library to one thread.

The cores belong to the worker processes: threads that wait for one another on busy cores took ten times as long over
the kernel of an SVM.
"""

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
