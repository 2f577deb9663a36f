from fuxi_plugins.cli.main import main

main()
