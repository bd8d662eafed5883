"""Run a notebook at home as Kaggle will run it, and judge what it hands in.

plan       what to rehearse, and whether it can be done
notebooks  what is read off a notebook without running it
stage      the two competition trees: the visible test and a hidden one, with their truth
twins      the same picture twice in the hidden test, to see what leaks from image to image
fuzz       further hidden tests, odd ones
replica    a virtual environment with the Kaggle image's exact versions
limits     what a run may take, and what it took
cgroup     a memory cgroup for one run
processes  the processes of a run
meter      watches a run from outside and stops it at a limit
sandbox    a command with no network and /kaggle/input read-only
inside     what runs in the replica: the runners of notebooks and scripts, the network watch
installing whether a bundle installs in the replica
trial      one run of a notebook in the sandbox
judge      what Kaggle would say, why, and the score
suspect    what Kaggle would score without a word, and is wrong
passes     a run and its judgement
forecast   how long the real hidden test would take
record     rehearsal.json
report     what was found, as data and for the terminal
pictures   images of the test with what was predicted
advice     what to fix first
charts     memory curves and bars
page       report.html
terminal   the verdict in twenty lines
rehearse   all of it in order
"""
