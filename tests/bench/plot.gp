# Throughput and p99 side by side; report.py sets data, out, label and logx.
# Columns: x, then rate and p99 of chatd, of the baseline, and of the one that batches.
set terminal svg size 960,400 dynamic background rgb 'white'
set output out
set multiplot layout 1,2
set key top left
set grid
set xlabel label
if (logx) set logscale x
set yrange [0:*]
set ylabel 'durable messages per second'
plot data using 1:2 with linespoints lw 2 title 'chatd', data using 1:4 with linespoints lw 2 title 'baseline', \
    data using 1:6 with linespoints lw 2 title 'batching'
set logscale y
set yrange [*:*]
set ylabel 'latency from sending to receipt, p99, ms'
plot data using 1:3 with linespoints lw 2 title 'chatd', data using 1:5 with linespoints lw 2 title 'baseline', \
    data using 1:7 with linespoints lw 2 title 'batching'
unset multiplot
