"""From a checkpoint to a proved bundle; the modules are listed here in the order of the work.

`request` says what is asked for, and `defaults` fills in what was left out. `job` reads the
checkpoint and locks the folder. `replacement` checks what the bundle would replace, `data` gathers
the images, `graph` writes the float network, and `golden` its golden frames. `candidates` makes and
measures variants, `select` decides which ship, `ship` proves their files, and `pack` writes the
manifest. `export` puts the steps together.
"""
