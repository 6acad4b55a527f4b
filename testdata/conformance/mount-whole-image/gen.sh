mkdir -p d/e; echo 1 > d/1; ln -s 1 d/l; echo r > r; chmod 640 r
