"""Run a notebook at home as Kaggle will run it, and judge what it hands in.

stage      the two competition trees: the visible test and a hidden one, with their truth
replica    a virtual environment with the Kaggle image's exact versions
sandbox    a command with no network and /kaggle/input read-only
inside     what runs in the replica: the notebook runner and the network watch
judge      what Kaggle would say, why, and the score
report     report.html
rehearse   all of it in order
"""
