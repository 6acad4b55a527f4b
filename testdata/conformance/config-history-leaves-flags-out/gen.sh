mkdir -p d/e; echo 1 > d/1; echo 2 > d/e/2; ln -s 1 d/l; ln -s e d/le; echo r > r; chmod 640 r
