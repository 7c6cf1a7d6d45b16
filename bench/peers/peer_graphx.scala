// GraphX in one thread: PageRank as Graphalytics defines it, of its aggregated messages. Its own PageRank does not give
// the mass of vertices without edges back within an iteration. Prints CPU and wall seconds of each run, and writes the
// ranks.
import java.lang.management.ManagementFactory
import java.nio.file.{Files, Paths}
import java.nio.{ByteBuffer, ByteOrder}
import org.apache.spark.graphx._

sc.setLogLevel("ERROR")
val folder = sys.env("GRAPHX_FOLDER")
val n = sys.env("GRAPHX_VERTICES").toInt
val (iterations, damping) = (sys.env("GRAPHX_ITERATIONS").toInt, sys.env("GRAPHX_DAMPING").toDouble)

def ends(file: String) =
  ByteBuffer.wrap(Files.readAllBytes(Paths.get(folder, file))).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer
val edges = {
  val (src, dst) = (ends("src.u32"), ends("dst.u32"))
  Array.tabulate(src.remaining)(i => Edge(src.get(i).toLong, dst.get(i).toLong, ()))
}
val plain = Graph(sc.range(0, n, 1, 1).map(v => (v, ())), sc.parallelize(edges.toSeq, 1))
val graph = plain.outerJoinVertices(plain.outDegrees)((_, _, degree) => degree.getOrElse(0)).cache()
graph.vertices.count(); graph.edges.count()

def cpu() =
  ManagementFactory.getOperatingSystemMXBean.asInstanceOf[com.sun.management.OperatingSystemMXBean].getProcessCpuTime / 1e9

def walk() = {
  var ranks = graph.mapVertices((_, degree) => (degree, 1.0 / n)).cache()
  for (_ <- 1 to iterations) {
    val lost = ranks.vertices.filter(_._2._1 == 0).map(_._2._2).sum()
    val base = (1 - damping + damping * lost) / n
    val came = ranks.aggregateMessages[Double](
      edge => edge.sendToDst(edge.srcAttr._2 / edge.srcAttr._1), _ + _, TripletFields.Src)
    val next = ranks.outerJoinVertices(came) {
      case (_, (degree, _), sum) => (degree, base + damping * sum.getOrElse(0.0))
    }.cache()
    next.vertices.count(); next.edges.count()
    ranks.unpersist(); ranks = next
  }
  ranks.vertices.map { case (v, (_, rank)) => (v, rank) }.collect()
}

val (cpu0, wall0) = (cpu(), System.nanoTime)
val found = walk()
println(s"""{"cpu_s":${cpu() - cpu0},"wall_s":${(System.nanoTime - wall0) / 1e9}}""")
val bytes = ByteBuffer.allocate(n * 8).order(ByteOrder.LITTLE_ENDIAN)
found.foreach { case (v, rank) => bytes.putDouble(v.toInt * 8, rank) }
Files.write(Paths.get(folder, "graphx.f64"), bytes.array)
System.exit(0)
